"""What the README tells a user to do works."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from smoke import SMOKE, forked

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
RUN = re.compile(r"python -m mdseg\.run ((?:-m )?experiment=[^`\n]+?)(?=`|\n|\))")
COMMANDS = RUN.findall(README)
DOCUMENTS = [path.read_text().replace("\\\n", " ") for path in sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTED = [command for text in DOCUMENTS for command in RUN.findall(text)]


def arguments_of(line):
    return [argument.replace('"', "") for argument in re.findall(r'(?:"[^"]*"|[^"\s])+', line) if argument != "-m"]


def test_readme_and_documents_have_commands():
    assert len(COMMANDS) >= 4
    assert len(DOCUMENTED) >= 4 * len(DOCUMENTS)


@pytest.mark.parametrize("line", list(dict.fromkeys([*COMMANDS, *DOCUMENTED])))
def test_every_run_command_composes(line, composed):
    swept = [argument for argument in arguments_of(line) if "..." not in argument and "searchpath" not in argument]
    single = [re.sub(r"^([\w./]+=)([^\[{,]+),.*", r"\1\2", argument) for argument in swept]
    if "experiment=mirror" in line or "focal" in line:
        return  # outside the package; trained below
    single = [re.sub(r"<\w+>", "x", re.sub(r"\bmine\b", "folder", argument)) for argument in single]
    composed(*single, typed=True)


@pytest.mark.parametrize("override", re.findall(r"`((?:streams|model|stage|stages)[\w.]*=[^`]+)`", README))
def test_every_override_composes(override, composed):
    experiment = "multi_dataset_cibm" if not override.startswith("stage") else "uniseg_cibm"
    scale = "paper" if override.startswith("model.weights") else "demo"
    composed(
        f"experiment={experiment}",
        f"scale={scale}",
        *(part.replace("...", "cityscapes:1") for part in override.split()),
    )


@pytest.mark.parametrize("picture", re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README))
def test_every_picture_is_there(picture):
    assert (ROOT / picture).is_file()


def test_every_experiment_is_listed():
    for path in (ROOT / "conf/experiment").glob("*.yaml"):
        name = path.stem
        assert f"`{name}`" in README or f"`_{name.split('_')[-1]}`" in README, name


def test_a_user_s_own_dataset_trains_together_with_another(tmp_path):
    """The section "Add your own", to the letter: RGB masks, JPEG and PNG images, odd sizes."""
    (example,) = re.findall(r"```yaml\n(# @package datasets\.mine.*?)```", README, re.DOTALL)
    described = yaml.safe_load(example)
    colors = np.array([[128, 64, 128], [70, 70, 70], [102, 102, 156], [0, 0, 0]], np.uint8)
    generator = np.random.default_rng(0)
    for split, count in (("train", 5), ("val", 2)):
        for folder in ("images", "masks"):
            (tmp_path / "mine" / folder / split).mkdir(parents=True)
        for i in range(count):
            mask = colors[generator.integers(0, 4, (4, 5))].repeat(11, 0).repeat(13, 1)
            cv2.imwrite(str(tmp_path / f"mine/masks/{split}/street {i}.png"), mask[..., ::-1])
            cv2.imwrite(str(tmp_path / f"mine/images/{split}/street {i}.{'jpg' if i % 2 else 'png'}"), mask[..., ::-1])
    described["root"] = str(tmp_path / "mine")
    conf = tmp_path / "conf/dataset"
    conf.mkdir(parents=True)
    (conf / "mine.yaml").write_text("# @package datasets.mine\n" + yaml.safe_dump(described))
    own, _ = [line for line in COMMANDS if re.search(r"\bmine\b", line)]
    path = f"hydra.searchpath=[file://{tmp_path}/conf]"
    done = forked(tmp_path, *arguments_of(own), path, "steps=2", *SMOKE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mine" in done.stdout


def test_a_user_s_own_method_and_loss_train(tmp_path):
    """The section "Add your own": a loss, a method and its experiment outside the package."""
    section = README[README.index("**A loss**") :]
    loss, method = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    loss_yaml, method_yaml, experiment = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    for name, text in {
        "mine_losses.py": loss,
        "mine.py": method,
        "conf/loss/supervised/focal.yaml": loss_yaml,
        "conf/method/mirror.yaml": method_yaml,
        "conf/experiment/mirror.yaml": experiment,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    path = f"hydra.searchpath=[file://{tmp_path}/conf]"
    sizes = ["streams.unlabelled.batch_size=2", "data.fraction=0.05"]
    done = forked(tmp_path, "experiment=mirror", "loss/supervised=focal", path, "steps=2", *SMOKE, *sizes)
    assert done.returncode == 0, done.stdout + done.stderr
    (log,) = tmp_path.glob("runs/mirror/*/fit/metrics.csv")
    assert "train/consistency" in log.read_text()
    (config,) = tmp_path.glob("runs/mirror/*/fit/config.yaml")
    assert "mine_losses.focal" in config.read_text()
