from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdseg.data.streams import SampleKey, Stream, StreamSampler, keyed_generator, labelled_subset


def stream(sizes=(5, 3), batch_size=4, mixing="concat", name="labelled"):
    datasets = tuple("abcdefgh"[: len(sizes)])
    return Stream(name, "labelled", datasets, tuple(sizes), batch_size, mixing)


sizes = st.lists(st.integers(1, 12), min_size=1, max_size=4).map(tuple)


@given(sizes, st.integers(1, 9), st.integers(0, 2**31), st.integers(0, 30), st.integers(1, 4))
@settings(deadline=None)
def test_ranks_deal_out_the_batch_of_one_process(sizes, batch_size, seed, step, world):
    described = stream(sizes, max(batch_size, world))
    whole = StreamSampler([described], seed, steps=31).batch_at(step)
    parts = [StreamSampler([described], seed, 31, rank=rank, world_size=world).batch_at(step) for rank in range(world)]
    assert sorted(key for part in parts for key in part) == sorted(whole)
    assert [key.slot for key in parts[0]] == list(range(0, described.batch_size, world))


@given(sizes, st.integers(1, 9), st.integers(0, 2**31), st.integers(0, 20))
@settings(deadline=None)
def test_a_later_start_gives_the_rest_of_the_same_batches(sizes, batch_size, seed, start):
    described = stream(sizes, batch_size)
    whole = list(StreamSampler([described], seed, steps=20))
    resumed = StreamSampler([described], seed, steps=20, start=start)
    assert list(resumed) == whole[start:]
    assert len(resumed) == 20


@given(sizes, st.integers(1, 9), st.integers(0, 2**31))
@settings(deadline=None)
def test_every_epoch_visits_each_image_once(sizes, batch_size, seed):
    described = stream(sizes, batch_size)
    indices = [index for step in range(3 * len(described)) for index in described.indices(seed, step)]
    for epoch in range(3):
        assert Counter(indices[epoch * len(described) : (epoch + 1) * len(described)]) == Counter(range(len(described)))


@given(sizes, st.integers(0, 5), st.integers(0, 2**31))
@settings(deadline=None)
def test_equal_shares_visit_each_image_of_each_dataset_once_an_epoch(sizes, extra, seed):
    described = stream(sizes, len(sizes) + extra, "per_dataset")
    batches = [described.indices(seed, step) for step in range(40)]
    for dataset, size in enumerate(sizes):
        share = [[i for i in batch if described.locate(i)[0] == dataset] for batch in batches]
        assert len({len(part) for part in share}) == 1, "a fixed share of every batch"
        drawn = [index for part in share for index in part]
        assert Counter(drawn[:size]) == Counter(range(described.offsets[dataset], described.offsets[dataset] + size))


@given(sizes, st.integers(1, 5), st.integers(0, 2**31))
@settings(deadline=None)
def test_streams_that_take_turns_visit_each_image_once_an_epoch(sizes, batch_size, seed):
    count = len(sizes)
    parts = [replace(stream((size,), batch_size, name=str(size)), turn=(n, count)) for n, size in enumerate(sizes)]
    for step in range(2 * count):
        assert [bool(part.indices(seed, step)) for part in parts] == [number == step % count for number in range(count)]
    for size, part in zip(sizes, parts, strict=True):
        drawn = [index for step in range(3 * size * count) for index in part.indices(seed, step)]
        assert Counter(drawn[:size]) == Counter(range(size))
        assert Counter(drawn[size : 2 * size]) == Counter(range(size))


def test_the_epoch_of_a_stream_that_waits_for_its_turn_is_counted_in_its_own_batches():
    second = replace(stream((4,), 2), turn=(1, 3))
    assert [second.epoch(step) for step in range(9)] == [0, 0, 0, 0, 0, 1, 1, 1, 1]
    assert second.period == 3


def test_shares_that_do_not_divide_go_to_the_first_datasets():
    described = stream((10, 10, 10), 5, "per_dataset")
    counts = Counter(described.locate(index)[0] for index in described.indices(0, step=0))
    assert counts == {0: 2, 1: 2, 2: 1}


def test_weights_set_how_often_a_dataset_is_drawn():
    described = stream((50, 50), 10, {"a": 3.0, "b": 1.0})
    drawn = Counter(described.locate(index)[0] for step in range(400) for index in described.indices(0, step))
    assert drawn[0] / 4000 == pytest.approx(0.75, abs=0.03)


def test_a_weight_of_zero_draws_nothing():
    described = stream((5, 5), 8, {"a": 0, "b": 1.0})
    assert all(index >= 5 for step in range(20) for index in described.indices(0, step))


def test_epochs_differ_in_their_order():
    described = stream((30,), 30)
    assert described.indices(0, 0) != described.indices(0, 1)


def test_seeds_and_streams_differ_in_their_order():
    assert stream((30,), 30).indices(0, 0) != stream((30,), 30).indices(1, 0)
    assert stream((30,), 30).indices(0, 0) != stream((30,), 30, name="target").indices(0, 0)


def test_stream_epoch_counts_full_passes():
    described = stream((5, 3), 4)
    assert [described.epoch(step) for step in (0, 1, 2, 3, 4)] == [0, 0, 1, 1, 2]


def test_several_streams_share_a_batch():
    sampler = StreamSampler([stream((4,), 2), stream((4,), 3, name="target")], seed=0, steps=1)
    (batch,) = sampler
    assert Counter(key.stream for key in batch) == {"labelled": 2, "target": 3}


def test_keys_are_what_batches_hold():
    key = StreamSampler([stream()], 0, 1).batch_at(0)[1]
    assert isinstance(key, SampleKey)
    assert (key.stream, key.step, key.slot) == ("labelled", 0, 1)


def test_no_two_samples_share_a_random_stream():
    sampler = StreamSampler([stream((7,), 4), stream((7,), 4, name="target")], seed=3, steps=50)
    draws = {
        keyed_generator(3, "sample", key.stream, key.step, key.slot).integers(2**62)
        for batch in sampler
        for key in batch
    }
    assert len(draws) == 50 * 8


def test_a_generator_is_a_function_of_its_key_alone():
    first = keyed_generator(1, "sample", "labelled", 5, 2).random(3)
    np.random.default_rng(0).random(100)
    assert (keyed_generator(1, "sample", "labelled", 5, 2).random(3) == first).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": (3, 0)}, "'b' has no images"),
        ({"batch_size": 0}, "batch_size: expected at least 1, got 0"),
        ({"batch_size": 1, "mixing": "per_dataset"}, "at least 2 images"),
        ({"mixing": "shuffled"}, "'shuffled'"),
        ({"mixing": {"a": 1.0}}, "weight for each of a, b"),
        ({"mixing": {"a": -1.0, "b": 2.0}}, "positive weight"),
    ],
)
def test_impossible_streams_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        stream(**arguments)


def test_unknown_roles_are_refused():
    with pytest.raises(ValueError, match="labelled, unlabelled, target"):
        Stream("source", "source", ("a",), (3,), 2)


def test_a_stream_without_datasets_is_refused():
    with pytest.raises(ValueError, match=r"streams.target.datasets: the stream has no images; name at least one .*"):
        Stream("target", "target", (), (), 4)


def test_more_devices_than_images_in_a_batch_are_refused():
    with pytest.raises(ValueError, match="batch_size is 4, but there are 8 devices"):
        StreamSampler([stream()], 0, 10, world_size=8)


KEYS = [f"image_{i}" for i in range(23)]


@pytest.mark.parametrize(("labelled", "count"), [("all", 23), (7, 7), ("1/8", 3), ("1/2", 12), ("1/23", 1)])
def test_labelled_subsets_have_the_asked_size(labelled, count):
    chosen = labelled_subset(KEYS, labelled, seed=0, name="x")
    assert len(chosen) == len(set(chosen)) == count
    assert chosen == sorted(chosen)


def test_cityscapes_partitions_have_the_published_sizes():
    keys = [str(i) for i in range(2975)]
    assert [len(labelled_subset(keys, part, 0, "x")) for part in ("1/16", "1/8", "1/4", "1/2")] == [186, 372, 744, 1488]


def test_subsets_follow_the_seed():
    assert labelled_subset(KEYS, 7, 0, "x") == labelled_subset(KEYS, 7, 0, "x") != labelled_subset(KEYS, 7, 1, "x")


def test_a_list_file_chooses_by_key(tmp_path):
    (tmp_path / "mine.txt").write_text("image_4\nimage_2")
    assert labelled_subset(KEYS, str(tmp_path / "mine.txt"), 0, "x") == [2, 4]


CITIES = ("aachen", "bochum")
CITY_KEYS = [f"{city}/{city}_{number:06}_000019" for city in CITIES for number in range(3)]
CITY_IMAGES = [Path(f"/data/cityscapes/leftImg8bit/train/{key}_leftImg8bit.png") for key in CITY_KEYS]


@pytest.mark.parametrize(
    "line",
    [
        "bochum/bochum_000001_000019",
        "bochum/bochum_000001_000019_leftImg8bit.png",
        "train/bochum/bochum_000001_000019_leftImg8bit.jpg",
        "leftImg8bit/train/bochum/bochum_000001_000019_leftImg8bit.png "
        "gtFine/train/bochum/bochum_000001_000019_gtFine_labelTrainIds.png",
        "/mnt/elsewhere/leftImg8bit/train/bochum/bochum_000001_000019_leftImg8bit.png\tx.png",
        "bochum_000001_000019_leftImg8bit.png",
        "  bochum_000001_000019  ",
    ],
)
def test_published_lists_name_images_by_their_paths(tmp_path, line):
    # The last line of the published lists lacks its newline.
    (tmp_path / "mine.txt").write_text(f"{line}\n\n{CITY_KEYS[0]}")
    assert labelled_subset(CITY_KEYS, str(tmp_path / "mine.txt"), 0, "x", CITY_IMAGES) == [0, 4]


def test_an_image_that_a_list_names_twice_counts_once_and_is_remarked(tmp_path):
    (tmp_path / "mine.txt").write_text("\n".join([CITY_KEYS[1], CITY_KEYS[0], CITY_KEYS[1]]))
    with pytest.warns(UserWarning, match="mine.txt names 1 image more than once, such as .*; each counts once"):
        assert labelled_subset(CITY_KEYS, str(tmp_path / "mine.txt"), 0, "x") == [0, 1]


@given(st.lists(st.sampled_from(range(6)), min_size=1, unique=True), st.booleans())
def test_lists_of_paths_choose_what_lists_of_keys_choose(chosen, with_masks):
    lines = [f"{CITY_IMAGES[index]}{' gt.png' * with_masks}" for index in chosen]
    with NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(lines))
        file.flush()
        assert labelled_subset(CITY_KEYS, file.name, 0, "x", CITY_IMAGES) == sorted(set(chosen))


def test_a_path_must_agree_with_the_folders_of_a_key(tmp_path):
    (tmp_path / "mine.txt").write_text("aachen/1.png\nbochum/1.png")
    keys, images = ["aachen/1", "aachen/2"], [Path("/d/aachen/1.png"), Path("/d/aachen/2.png")]
    with pytest.raises(ValueError, match=r"mine\.txt, line 2, names 'bochum/1\.png', none of the 2 images.*'aachen/1'"):
        labelled_subset(keys, str(tmp_path / "mine.txt"), 0, "streams.labelled.a", images)


def test_a_name_that_several_images_have_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("1.png")
    keys, images = ["aachen/1", "bochum/1"], [Path("/d/aachen/1.png"), Path("/d/bochum/1.png")]
    with pytest.raises(ValueError, match=r"line 1, names '1\.png'"):
        labelled_subset(keys, str(tmp_path / "mine.txt"), 0, "x", images)


def test_names_may_hold_blanks(tmp_path):
    (tmp_path / "mine.txt").write_text("a street.jpg")
    images = [Path("/d/a street.jpg"), Path("/d/another.jpg")]
    assert labelled_subset(["a street", "another"], str(tmp_path / "mine.txt"), 0, "x", images) == [0]


@pytest.mark.parametrize(
    ("labelled", "message"),
    [
        (24, "expected 1 to 23 of its 23 images, got 24"),
        (0, "expected 1 to 23 of its 23 images, got 0"),
        ("1/0", "1/8"),
        ("half", "'half'"),
        ("1/x", "1/x"),
    ],
)
def test_impossible_subsets_are_refused(labelled, message):
    with pytest.raises(ValueError, match=message):
        labelled_subset(KEYS, labelled, 0, "streams.labelled.a")


def test_a_list_with_an_unknown_key_names_it(tmp_path):
    (tmp_path / "mine.txt").write_text("image_4\nimage_99\n")
    with pytest.raises(ValueError, match="'image_99'"):
        labelled_subset(KEYS, str(tmp_path / "mine.txt"), 0, "x")


def test_sampler_iterates_lazily():
    assert len(list(islice(StreamSampler([stream()], 0, steps=10**9), 3))) == 3
