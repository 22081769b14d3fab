import base64
import html
import json
import re
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from mdseg.data import __main__ as commands
from mdseg.data.browse import page, paint, palette_of
from mdseg.data.datamodule import StreamDataset
from mdseg.data.dataset import Sample, SegmentationDataset
from mdseg.data.selection import LoadedStream
from mdseg.data.streams import SampleKey, Stream
from mdseg.data.transforms import RandomCrop
from mdseg.labels.spaces import disjoint, listed, union
from mdseg.labels.tables import IGNORE, LabelTable

STREETS = LabelTable("streets", ("road", "<sky>"), ((9, 0, 0), (0, 9, 0)), "id", ((5,), (6, 7)), (255,))
ROOMS = LabelTable("rooms", ("road", "wall"), ((9, 9, 9), (0, 0, 9)), "id", ((0,), (1,)), (255,))


def streets(folder, table=STREETS, count=3):
    """Images 64 × 48: above sky, below road, the left edge ignored."""
    mask = np.full((48, 64), 7, np.uint8)
    mask[24:], mask[:, :8] = 5, 255
    samples = []
    for number in range(count):
        image, label = folder / f"image {number} & more.png", folder / f"mask{number}.png"
        cv2.imwrite(str(image), np.full((48, 64, 3), 40 * number, np.uint8))
        cv2.imwrite(str(label), mask)
        samples.append(Sample(image.stem, image, label))
    return SegmentationDataset("streets", samples, table)


def stream_dataset(dataset, space, role="labelled", seed=0):
    stream = Stream(role, role, (dataset.name,), (len(dataset),), 1)
    transform = RandomCrop(None, (0.5, 2.0), (24, 32))
    return StreamDataset({role: LoadedStream(stream, [dataset], transform)}, space, seed)


def pictures(text, kind):
    for content in re.findall(rf'src="data:image/{kind};base64,([^"]+)"', text):
        yield cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


@pytest.fixture
def space():
    return union({"streets": STREETS, "rooms": ROOMS})


def test_a_page_needs_nothing_from_elsewhere(tmp_path, space):
    text = page(stream_dataset(streets(tmp_path), space), space, "a title", "a: b", samples=2, versions=1)
    sources = re.findall(r'(?:src|href|url)\s*[=(]\s*"?([^">]{0,12})', text)
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert "import" not in text


def test_every_sample_has_its_image_its_labels_and_its_versions(tmp_path, space):
    text = page(stream_dataset(streets(tmp_path), space), space, "a title", "a: b", samples=2, versions=3)
    assert text.count("<section") == 2
    assert len(list(pictures(text, "jpeg"))) == 2 * (1 + 1 + 3)
    assert len(list(pictures(text, "png"))) == 2 * (1 + 3)


def test_what_is_shown_is_what_the_loader_returns(tmp_path, space):
    data = stream_dataset(streets(tmp_path, count=1), space)
    text = page(data, space, "a title", "a: b", samples=1, versions=2)
    palette = palette_of(data.streams["labelled"].datasets[0], space)
    for step, shown in enumerate(list(pictures(text, "png"))[1:]):
        train_ids = data[SampleKey("labelled", 0, step, 0)].mask
        assert (shown == paint(train_ids, palette.train_ids, palette.stripes)).all()


def test_names_from_files_and_tables_are_escaped(tmp_path, space):
    text = page(stream_dataset(streets(tmp_path), space), space, "<b>", "</pre>", samples=1, versions=0)
    assert "more</span>" in text
    assert " & more" not in text
    assert "<sky>" not in text
    assert "&lt;sky&gt;" in text
    assert "<b>" not in text


def test_the_legend_says_where_an_id_comes_from(tmp_path, space):
    text = page(stream_dataset(streets(tmp_path), space), space, "a title", "a: b", samples=1, versions=0)
    train_id = space.names.index("<sky>")
    assert html.escape(f"raw id 6, 7 → class index 1 → train id {train_id} (<sky>)") in text
    assert "43.8 %" in text
    assert "no annotation: 255" in text


def test_the_pointer_finds_the_class_of_every_colour(tmp_path, space):
    text = page(stream_dataset(streets(tmp_path), space), space, "a title", "a: b", samples=1, versions=1)
    names = json.loads(html.unescape(re.search(r'data-names="([^"]*)"', text)[1]))
    for picture in pictures(text, "png"):
        for color in np.unique(picture.reshape(-1, 3), axis=0).tolist():
            assert names[",".join(map(str, color))] in ("road", "<sky>", "ignored")


def test_ignored_pixels_are_hatched_in_colours_that_no_class_has(tmp_path):
    table = LabelTable("streets", ("road", "<sky>"), ((0, 0, 0), (255, 255, 255)), "id", ((5,), (6, 7)), (255,))
    palette = palette_of(streets(tmp_path, table), union({"streets": table}))
    assert not {(0, 0, 0), (255, 255, 255)} & set(palette.stripes)
    picture = paint(np.full((8, 8), IGNORE, np.uint8), palette.classes, palette.stripes)
    assert {tuple(color) for color in picture.reshape(-1, 3).tolist()} == set(palette.stripes)


def test_a_class_that_the_label_space_lacks_is_said_to_be_ignored(tmp_path):
    space = listed({"streets": STREETS}, ["road"])
    text = page(stream_dataset(streets(tmp_path), space), space, "a title", "a: b", samples=1, versions=1)
    assert "&lt;sky&gt; (not in the label space: ignored)" in text
    stored, version = pictures(text, "png")
    assert (stored == STREETS.colors[1]).all(axis=-1).any()
    assert not (version == STREETS.colors[1]).all(axis=-1).any()


def test_a_dataset_with_channels_of_its_own_keeps_its_colours(tmp_path):
    space = disjoint({"rooms": ROOMS, "streets": STREETS})
    palette = palette_of(streets(tmp_path), space)
    assert palette.classes[0].tolist() == palette.train_ids[2].tolist() == [9, 0, 0]


def test_an_unlabelled_stream_has_images_alone(tmp_path, space):
    data = stream_dataset(streets(tmp_path), space, role="target")
    text = page(data, space, "a title", "a: b", samples=1, versions=2)
    assert len(list(pictures(text, "jpeg"))) == 3
    assert list(pictures(text, "png")) == []


def test_another_seed_shows_other_images(tmp_path, space):
    keys = set()
    for seed in range(8):
        text = page(stream_dataset(streets(tmp_path), space, seed=seed), space, "a", "b", samples=1, versions=0)
        keys.add(re.search(r"<h2>streets <span>([^<]*)", text)[1])
    assert len(keys) > 1


def test_large_images_are_shown_small(tmp_path, space):
    dataset = streets(tmp_path, count=1)
    cv2.imwrite(str(dataset.samples[0].image), np.zeros((1200, 1600, 3), np.uint8))
    cv2.imwrite(str(dataset.samples[0].mask), np.full((1200, 1600), 5, np.uint8))
    text = page(stream_dataset(dataset, space), space, "a title", "a: b", samples=1, versions=0)
    assert "stored: 1600 × 1200" in text
    assert {picture.shape for picture in pictures(text, "jpeg")} == {(360, 480, 3)}


# The command

SMALL = ["data.height=40", "data.fraction=0.02", "data.workers=1"]


def sections(path):
    return re.findall(r"<h2>(\w+) <span>", path.read_text())


def test_datasets_alone_are_shown_in_any_split(tmp_path):
    output = tmp_path / "pages" / "browse.html"
    commands.browse(["on=[wilddash,idd]", "split=val", "samples=2", *SMALL, f"output={output}"])
    assert sections(output) == ["wilddash", "idd"]


def test_datasets_without_masks_in_the_split_are_shown_beside_the_others(tmp_path):
    output = tmp_path / "browse.html"
    commands.browse(["on=[rome,gta5,synthia]", "samples=1", "versions=1", *SMALL, f"output={output}"])
    assert sections(output) == ["gta5", "synthia", "rome"]
    *labelled, rome = output.read_text().split("<section")[1:]
    assert all("train id" in section for section in labelled)
    assert "train id" not in rome
    assert "training, 1" in rome


def test_an_experiment_shows_what_it_trains_on_in_its_label_space(tmp_path):
    output = tmp_path / "browse.html"
    commands.browse(["experiment=uniseg_cib", "samples=1", "on=[idd,bdd]", *SMALL, f"output={output}"])
    assert sections(output) == ["idd", "bdd"]
    assert "train id" in output.read_text()
    assert "crop" in output.read_text()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["experiment=uniseg_cib", "on=[kitti]"], "uniseg_cib does not train on kitti, only on bdd, cityscapes, idd"),
        (["on=[wilddash]", "split=train", *SMALL], "WildDash 1 has no training split"),
        (["on=[idd]", "samples=0"], "samples: expected a whole number of at least 1, got 0"),
        (["on=[idd]", "versions=many"], "versions: expected a whole number of at least 0, got 'many'"),
        (["on=[idd]", "seed=x"], "seed: expected a whole number"),
        (["on=[idd]", "split=tarin", *SMALL], "split 'tarin', expected one of"),
    ],
)
def test_mistakes_are_named(overrides, message):
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(message)):
        commands.browse(overrides)


def test_an_output_that_cannot_be_written_is_one_message(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    output = f"output={tmp_path}/file/page.html"
    monkeypatch.setattr(sys, "argv", ["mdseg.data", "browse", "on=[kitti]", "split=val", "samples=1", *SMALL, output])
    with pytest.raises(SystemExit, match=r"mdseg: .*/file.*: (File exists|Not a directory)"):
        commands.main()


POINTED = """<script>addEventListener("load", () => {
  const image = document.querySelector("img.labels"), box = image.getBoundingClientRect();
  const at = {bubbles: true, clientX: box.left + 0.5 * box.width, clientY: box.top + 0.75 * box.height};
  image.dispatchEvent(new MouseEvent("mousemove", at));
});</script>"""


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_in_a_browser_the_pointer_names_the_class(tmp_path, space):
    text = page(stream_dataset(streets(tmp_path), space), space, "a title", "a: b", samples=1, versions=1)
    (tmp_path / "page.html").write_text(
        text.replace("</body>", f"{POINTED}</body>") if "</body>" in text else text + POINTED
    )
    shown = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000"),
            *(f"--user-data-dir={tmp_path}/profile", "--dump-dom", f"file://{tmp_path}/page.html"),
        ],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    (under,) = re.findall(r'id="under"[^>]*>([^<]*)<', shown.stdout)
    assert "road" in under
