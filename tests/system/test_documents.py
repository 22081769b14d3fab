import re

import pytest

from mdseg.system.documents import read_config, read_json, read_yaml


def written(folder, content):
    path = folder / "mine.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_byte_order_mark_is_no_part_of_a_key(tmp_path):
    assert read_yaml(written(tmp_path, b"\xef\xbb\xbfroad: 1\n")) == {"road": 1}


def test_numbers_that_are_what_they_look_like_are_read(tmp_path):
    assert read_yaml(written(tmp_path, "[007, 1_000, 0x1f, -3, 00]")) == [7, 1000, 31, -3, 0]


def test_merged_keys_may_be_overwritten(tmp_path):
    assert read_yaml(written(tmp_path, "a: &a {x: 1}\nb: {<<: *a, x: 2}\n"))["b"] == {"x": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("road: 1\nsky: 2\nroad: 3\n", "mine.yaml, line 3: not readable YAML: key 'road' twice"),
        ("classes: [{name: road, name: sky}]", "key 'name' twice"),
        ("color: [128, 064, 128]", "064 would be read as 52; write 64 or 52, whichever is meant"),
        ("raw_ids: [-010]", "-010 would be read as -8"),
        ("raw_ids: [1:30]", "1:30 would be read as 90"),
        ("road: [1", "mine.yaml, line 2: not readable YAML: "),
        ("a: !!python/object/apply:os.getcwd []", "mine.yaml, line 1: not readable YAML: could not determine"),
        (b"road: \xff\xfe", "mine.yaml: expected text in UTF-8"),
        ("road: \x01", "mine.yaml: damaged, or no YAML at all"),
        ("[" * 300 + "]" * 300, "mine.yaml: damaged, or no YAML at all (more than 50 levels)"),
        ("- " * 300 + "x", "more than 50 levels"),
        ("x: " * 1 + "\n" + "".join(" " * k + "x:\n" for k in range(1, 250)), "more than 50 levels"),
    ],
)
def test_what_would_be_dropped_or_taken_for_something_else_is_refused_in_one_line(tmp_path, content, message):
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        read_yaml(written(tmp_path, content))
    assert "\n" not in str(refused.value)


def test_a_key_that_stands_twice_in_json_is_refused(tmp_path):
    with pytest.raises(ValueError, match="mine.yaml: damaged, or no JSON at all \\(key 'seed' twice\\)"):
        read_json(written(tmp_path, '{"runs": [{"seed": 0, "x": 1, "seed": 1}]}'))


def test_aliases_that_stand_for_more_than_a_configuration_can_hold_are_refused(tmp_path):
    lines = [f"k{number}: &k{number} [*k{number - 1}, *k{number - 1}]" for number in range(1, 40)]
    for content in ("\n".join(["k0: &k0 [x]", *lines]), "x: &x [*x]"):
        with pytest.raises(ValueError, match="more than 50 levels or 1000000 values"):
            read_config(written(tmp_path, content))


def test_a_configuration_is_read_with_its_references_and_numbers_as_they_are_written(tmp_path):
    cfg = read_config(written(tmp_path, "seed: 3\nlr: 1e-3\nother: ${seed}\n"))
    assert (cfg.lr, cfg.other) == (0.001, 3)
