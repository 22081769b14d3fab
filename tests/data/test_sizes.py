"""Sizes that blow images up, or that the network does not take, are said before anything is trained."""

import warnings

import pytest
from mistakes import refused
from running import planned
from smoke import SMOKE

from mdseg.data.sizes import check_evaluated, takes_any
from mdseg.data.transforms import RandomCrop
from mdseg.system.wording import Remark

RUN = ["experiment=supervised_bdd", *SMOKE]
FIXED = ["model=smp", "model.arch=DPT", "model.encoder=tu-vit_tiny_patch16_224", "steps=2"]


def said(cfg):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        planned(cfg)
    return [str(warning.message) for warning in caught if issubclass(warning.category, Remark)]


def test_sizes_that_blow_images_up_are_remarked_upon_once_with_how_much(composed):
    remarks = said(composed(*RUN, "transform.crop=[400,600]", "evaluation.short_side=400"))
    training, evaluation = [text for text in remarks if "enlarge" in text]
    assert training.startswith(
        "streams.labelled: transform.crop=[400, 600] with short_side=40 enlarges images for training"
    )
    assert "of bdd (10.0 times); a smaller value" in training
    assert evaluation.startswith("evaluation.short_side enlarges images for evaluation")
    assert "of bdd (10.0 times), " in evaluation


def test_usual_sizes_are_not(composed):
    assert not [text for text in said(composed(*RUN)) if "enlarge" in text]


@pytest.mark.parametrize(
    ("short_side", "crop", "expected"),
    [(None, (40, 60), 1.25), (None, (400, 60), 10), (80, (40, 60), 2.5), (400, (40, 60), 12.5), (20, (20, 30), 0.625)],
)
def test_an_image_is_enlarged_by_its_scale_or_until_it_fills_the_crop(short_side, crop, expected):
    assert RandomCrop(short_side, (0.5, 2.0), crop).enlargement((40, 60)) == expected


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (
            ["transform.crop=[96,160]"],
            ["streams.labelled: transform.crop=[96, 160]: the network does not take 96 × 160", "it takes 224 × 224"],
        ),
        (
            ["transform.crop=[224,224]"],
            ["evaluation.short_side=40: images of bdd would be seen at", "+model.options.dynamic_img_size=true"],
        ),
    ],
)
def test_sizes_that_the_network_does_not_take_are_refused_before_the_run_folder(composed, tmp_path, overrides, parts):
    cfg = composed(
        *[each for each in RUN if not each.startswith("model.")], *FIXED, *overrides, f"runs={tmp_path}/runs"
    )
    with refused(*parts):
        planned(cfg)
    assert not (tmp_path / "runs").exists()


def test_the_advised_option_lets_it_take_them(composed):
    run = [each for each in RUN if not each.startswith("model.")]
    planned(composed(*run, *FIXED, "transform.crop=[96,160]", "+model.options.dynamic_img_size=true"))


def test_each_size_of_a_dataset_is_tried():
    def refusal(size, images=None):
        return None if size[0] == size[1] else "no square"

    check_evaluated("mine", [(40, 40), (80, 80)], None, 1, refusal)
    with pytest.raises(ValueError, match=r"images of mine would be seen at 20 × 40 \(height × width\): no square"):
        check_evaluated("mine", [(40, 40), (40, 80)], 20, 1, refusal)
    check_evaluated("mine", [(40, 80)], 20, 1, takes_any)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["streams.labelled.batch_size=1000000000"],
            "streams.labelled: 1000000000 images of 32 × 48 pixels at once",
        ),
        (["transform.crop=[40000,40000]"], "transform.crop: 40000 × 40000 pixels are more than the 179 megapixels"),
        (["evaluation.short_side=100000"], "evaluation.short_side=100000: images of bdd would be seen at 100000 × "),
    ],
)
def test_what_no_memory_holds_is_refused_before_it_is_tried(composed, overrides, message):
    with refused(message):
        planned(composed(*RUN, *overrides))
