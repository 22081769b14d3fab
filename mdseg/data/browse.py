"""One self-contained HTML page of stored images and of what training makes of them."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from mdseg.data.datamodule import StreamDataset
from mdseg.data.dataset import SegmentationDataset
from mdseg.data.selection import LoadedStream
from mdseg.data.streams import SampleKey, permuted
from mdseg.data.transforms import resize, resize_mask
from mdseg.labels.spaces import LabelSpace
from mdseg.labels.tables import IGNORE, Color

LONGEST = 480  # pixels of a picture's longer side on the page
QUALITY = 85  # of its JPEG


@dataclass(frozen=True)
class Palette:
    """Colours and names of one dataset's labels, those of the run's label space wherever it has the class.

    Args:
        classes: colours [256, 3] per class index.
        train_ids: colours [256, 3] per train id.
        names: colour → what it means on this page.
        stripes: the two colours that ignored pixels are hatched in, which no class has.
    """

    classes: np.ndarray
    train_ids: np.ndarray
    names: Mapping[Color, str]
    stripes: tuple[Color, Color]


def page(data: StreamDataset, space: LabelSpace | None, title: str, details: str, samples: int, versions: int) -> str:
    """HTML of some images of every dataset of every stream: as stored, and as the network would get them.

    The images are drawn from the seed of the data, and so are the augmented versions: they are what the loader returns
    for these images, except that a network's own multiple of sizes is not padded to.

    Args:
        space: null where no stream is labelled.
        details: text that is folded away at the top, such as the transform's configuration.
        samples: images per dataset.
        versions: augmented versions of each image.
    """
    chosen = [
        (loaded, position, permuted(data.seed, f"browse/{dataset.name}", number, len(dataset)))
        for loaded in data.streams.values()
        for position, dataset in enumerate(loaded.datasets)
        for number in range(min(samples, len(dataset)))
    ]
    console = Console(stderr=True)
    shown = track(chosen, "browsing", console=console, transient=True, disable=not console.is_terminal)
    body = "".join(_sample(data, space, loaded, position, index, versions) for loaded, position, index in shown)
    return _PAGE.format(title=escape(title), details=escape(details), body=body, style=_STYLE, script=_SCRIPT)


def _sample(
    data: StreamDataset, space: LabelSpace | None, loaded: LoadedStream, position: int, index: int, versions: int
) -> str:
    stream, dataset = loaded.stream, loaded.datasets[position]
    labelled = stream.role == "labelled"
    image, mask = dataset.image(index), dataset.mask(index) if labelled else None
    palette = palette_of(dataset, space) if labelled and space is not None else None
    figures = [_figure("stored", image, None, None, None)]
    if palette is not None:
        figures.append(_figure("labels", image, mask, palette.classes, palette))
    for step in range(versions):
        # The index as slot: two images of a page are not augmented alike.
        key = SampleKey(stream.name, stream.offsets[position] + index, step, slot=index)
        sample = data[key]
        figures.append(
            _figure(f"training, {step + 1}", sample.image, sample.mask, palette.train_ids if palette else None, palette)
        )
    names = {",".join(map(str, color)): name for color, name in palette.names.items()} if palette else {}
    legend = () if palette is None or space is None or mask is None else _legend(dataset, space, mask, palette)
    return _SAMPLE.format(
        names=escape(json.dumps(names), quote=True),
        dataset=escape(dataset.name),
        key=escape(dataset.samples[index].key),
        role=escape(stream.role if stream.name == stream.role else f"{stream.name}, {stream.role}"),
        figures="".join(figures),
        legend="".join(legend),
    )


def palette_of(dataset: SegmentationDataset, space: LabelSpace) -> Palette:
    """Colours of a dataset's labels; a class that the label space lacks keeps the colour of its table."""
    table, train_ids = dataset.table, space.train_ids(dataset.name)
    ignored = "ignored"
    own = [
        (table.colors[index], f"{name} (not in the label space: {ignored})")
        if train_ids[index] == IGNORE
        else (space.colors[train_ids[index]], name)
        for index, name in enumerate(table.names)
    ]
    taken = {color for color, _ in own}
    greys = [(value, value, value) for value in range(256) if (value, value, value) not in taken]
    stripes = greys[0], greys[-1]
    classes, by_train_id = np.zeros((256, 3), np.uint8), np.zeros((256, 3), np.uint8)
    classes[: len(own)] = [color for color, _ in own]
    by_train_id[: space.num_classes] = space.colors
    names: dict[Color, str] = dict.fromkeys(stripes, ignored)
    for color, name in own:
        names[color] = f"{names[color]} / {name}" if color in names else name
    return Palette(classes, by_train_id, names, stripes)


def paint(mask: np.ndarray, colors: np.ndarray, stripes: tuple[Color, Color]) -> np.ndarray:
    """Colour picture of a mask; ignored pixels are hatched."""
    picture = colors[mask]
    rows, columns = np.indices(mask.shape)
    hatching = np.array(stripes, np.uint8)[(rows + columns) // max(2, mask.shape[1] // 80) % 2]
    return np.where((mask == IGNORE)[..., None], hatching, picture)


def _figure(
    caption: str, image: np.ndarray, mask: np.ndarray | None, colors: np.ndarray | None, palette: Palette | None
) -> str:
    height, width = image.shape[:2]
    factor = min(1.0, LONGEST / max(height, width))
    size = max(1, round(height * factor)), max(1, round(width * factor))
    pictures = f'<img src="{_embedded(resize(image, size), ".jpg")}" alt="">'
    if mask is not None and colors is not None and palette is not None:
        painted = paint(resize_mask(mask, size), colors, palette.stripes)
        pictures += f'<img class="labels" src="{_embedded(painted, ".png")}" alt="">'
    return f"<figure><div>{pictures}</div><figcaption>{caption}: {width} × {height}</figcaption></figure>"


def _embedded(picture: np.ndarray, kind: str) -> str:
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if kind == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 9]
    _, content = cv2.imencode(kind, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    return f"data:image/{'jpeg' if kind == '.jpg' else 'png'};base64,{base64.b64encode(content.tobytes()).decode()}"


def _legend(dataset: SegmentationDataset, space: LabelSpace, mask: np.ndarray, palette: Palette) -> Iterator[str]:
    """The classes of the stored image, largest first; the title of each says where its ids come from."""
    table, train_ids = dataset.table, space.train_ids(dataset.name)
    counts = np.bincount(mask.ravel(), minlength=256)
    for index in np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)].tolist():
        share = f"{100 * counts[index] / mask.size:.1f} %"
        if index == IGNORE:
            dark, light = (_css(color) for color in palette.stripes)
            swatch = f"repeating-linear-gradient(135deg, {dark} 0 3px, {light} 3px 6px)"
            yield _entry(swatch, "ignored", share, "no annotation: 255")
            continue
        color = tuple(palette.classes[index].tolist())
        raw_ids = ", ".join(table.show(raw_id) for raw_id in table.raw_ids[index])
        train_id = train_ids[index]
        trained = "ignored" if train_id == IGNORE else f"train id {train_id} ({space.names[train_id]})"
        name = table.names[index] + (" (not in the label space: ignored)" if train_id == IGNORE else "")
        yield _entry(_css(color), name, share, f"raw id {raw_ids} → class index {index} → {trained}")


def _css(color: Color) -> str:
    return f"rgb({color[0]}, {color[1]}, {color[2]})"


def _entry(swatch: str, name: str, share: str, title: str) -> str:
    return f'<li title="{escape(title)}"><i style="background: {swatch}"></i>{escape(name)} <small>{share}</small></li>'


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
<header>
<h1>{title}</h1>
<label>labels <input type="range" min="0" max="1" step="0.05" value="0.55"></label>
<span id="under">point at a picture: the class under the pointer; point at a class: its ids</span>
<details><summary>command and transform</summary><pre>{details}</pre></details>
</header>
{body}
<script>{script}</script>
</html>
"""

_SAMPLE = """<section data-names="{names}">
<h2>{dataset} <span>{key}</span> <small>{role}</small></h2>
<div class="row">{figures}</div>
<ul>{legend}</ul>
</section>
"""

_STYLE = """
:root { --labels: 0.55; }
body { margin: 0 1.5rem 3rem; font: 14px/1.4 system-ui, sans-serif; color: #222; background: #f6f6f4; }
header { position: sticky; top: 0; z-index: 1; padding: 0.5rem 0; background: #f6f6f4; border-bottom: 1px solid #ccc; }
h1 { display: inline; margin-right: 2rem; font-size: 1.2rem; }
label, #under { margin-right: 2rem; }
input { vertical-align: middle; }
pre { max-height: 40vh; overflow: auto; }
section { margin-top: 1.5rem; }
h2 { margin: 0 0 0.4rem; font-size: 1rem; overflow-wrap: anywhere; }
h2 span { font-weight: normal; }
small { font-weight: normal; color: #666; }
.row { display: flex; flex-wrap: wrap; gap: 0.6rem; align-items: flex-start; }
figure { margin: 0; flex: 1 1 14rem; max-width: 20rem; }
figure div { position: relative; line-height: 0; }
img { width: 100%; }
img.labels { position: absolute; inset: 0; height: 100%; opacity: var(--labels); image-rendering: pixelated; }
figcaption { font-size: 0.8rem; color: #666; }
ul { margin: 0.3rem 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: 0.1rem 1rem; list-style: none; }
li i { display: inline-block; width: 1em; height: 1em; margin-right: 0.3em; border: 1px solid #888; }
li i { vertical-align: -0.15em; }
"""

_SCRIPT = """
const under = document.getElementById("under");
document.querySelector("input").addEventListener("input", event =>
  document.documentElement.style.setProperty("--labels", event.target.value));
const pixels = new WeakMap();
function read(image) {
  if (!pixels.has(image)) {
    const canvas = document.createElement("canvas");
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const context = canvas.getContext("2d", {willReadFrequently: true});
    context.drawImage(image, 0, 0);
    pixels.set(image, context);
  }
  return pixels.get(image);
}
document.addEventListener("mousemove", event => {
  const image = event.target;
  if (!image.matches || !image.matches("img.labels")) return;
  const box = image.getBoundingClientRect();
  const x = Math.floor((event.clientX - box.left) / box.width * image.naturalWidth);
  const y = Math.floor((event.clientY - box.top) / box.height * image.naturalHeight);
  const color = read(image).getImageData(x, y, 1, 1).data.slice(0, 3).join(",");
  under.textContent = image.title = JSON.parse(image.closest("section").dataset.names)[color] || "";
});
"""
