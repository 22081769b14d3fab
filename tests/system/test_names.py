import pytest

from mdseg.system.names import check_key, check_list, check_name, check_names, check_path


@pytest.mark.parametrize(
    "name",
    [
        "road",
        "traffic sign (back)",
        "tv/monitor",
        "a $x^2$ b",
        "_background_",
        "[bold]wall",
        "straße",
        "道路",
        'c\'est, "la" = 1%',
    ],
)
def test_names_that_can_be_seen_and_told_apart_are_taken(name):
    check_name("table", name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (True, "name True is not a string"),
        (None, "name null is not a string"),
        (7, "name 7 is not a string"),
        (["road"], r"name \['road'\] is not a string"),
        ("", "name '' is empty"),
        ("  ", "name '  ' is empty"),
        ("\u3000", r"is empty"),
        ("sky ", "name 'sky ' has a blank at an end.* than 'sky'"),
        (" sky", "blank at an end"),
        ("traffic  sign", "several in a row.* than 'traffic sign'"),
        ("road\nsky", r"name 'road\\nsky' has a character that cannot be seen, a control character \(U\+000A\)"),
        ("road\x1b[31m", r"'road\\x1b\[31m' .*U\+001B"),
        ("road\x00", r"U\+0000"),
        ("road\x7f", r"U\+007F"),
        ("\u202edaor", r"'\\u202edaor' .*right-to-left override \(U\+202E\)"),
        ("road\u200b", r"zero width space \(U\+200B\)"),
        ("road\u2066", r"left-to-right isolate"),
        ("ro\u00adad", r"soft hyphen"),
        ("traffic\u00a0sign", r"no-break space \(U\+00A0\)"),
        ("road\u2028", r"line separator"),
        ("\ufeffroad", r"zero width no-break space \(U\+FEFF\)"),
        ("road\ud800", r"'road\\ud800' .*U\+D800"),
        ("sky\ufe0f", r"variation selector-16"),
        ("\u3164", r"hangul filler"),
        ("cafe\u0301", r"'cafe\\u0301' looks like 'caf\\xe9'"),
        ("\u0301", "has marks without a letter"),
        ("\u0e31road", "has marks without a letter"),
        ("r" + 5 * "\u0327\u0321" + "oad", "or more than 4 on one"),
        ("x" * 101, "has 101 characters; it may have 100"),
        ("x" * 5000, "has 5000 characters"),
    ],
)
def test_names_that_would_not_be_shown_as_they_are_or_look_like_others_are_refused(name, message):
    with pytest.raises(ValueError, match=message) as refused:
        check_name("mine.yaml, class 3", name)
    said = str(refused.value)
    assert said.startswith("mine.yaml, class 3: ")
    assert said.isprintable()
    assert len(said) < 300


@pytest.mark.parametrize("name", ["camvid32_strict", "7scenes", "my-data", "A", "labelled"])
def test_names_of_keys_and_files_are_taken(name):
    check_key("datasets", name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a/b", "becomes part of keys and of files' names"),
        ("../up", "becomes part of keys"),
        (".hidden", "becomes part of keys"),
        ("_x", "becomes part of keys"),
        ("-x", "becomes part of keys"),
        ("my data", "becomes part of keys"),
        ("straße", "becomes part of keys"),
        ("a.b", "becomes part of keys"),
        ("$x$", "becomes part of keys"),
        ("123", "read as another thing than a text"),
        ("1e5", "read as another thing than a text"),
        ("nan", "read as another thing than a text"),
        ("null", "read as another thing than a text"),
        ("On", "read as another thing than a text"),
        ("curves", "means something else in results or pictures"),
    ],
)
def test_names_that_cannot_be_part_of_keys_and_files_are_refused(name, message):
    with pytest.raises(ValueError, match=f"^datasets: name .*{message}"):
        check_key("datasets", name, taken=("curves",))


@pytest.mark.parametrize("name", ["mine", "group/mine", "größe 2"])
def test_names_of_folders_are_taken(name):
    check_path("name", name)


@pytest.mark.parametrize("name", ["", "../x", "/tmp", "a//b", ".x", "a\\b", "a\nb", None, 5, "a/ b"])
def test_names_that_cannot_be_folders_are_refused(name):
    with pytest.raises(ValueError, match="^name: name "):
        check_path("name", name)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("motorway", r"expected a list, got 'motorway' \(write \[motorway\]\)"),
        (None, r"expected a list, got null \(write \[\], or leave it out\)"),
        (3, r"expected a list, got 3 \(write \[3\]\)"),
        ({"a": 1}, r"expected a list, got \{'a': 1\} \(write \[\.\.\.\]\)"),
        ("[a,b]", r"expected a list, got '\[a,b\]' \(write \[a,b\]\)"),
        ("a\nb", r"expected a list, got 'a\\nb' \(write \[\.\.\.\]\)"),
        ([True], "True is no text"),
        ([["road"]], r"\['road'\] is no text"),
        (["a", "b", "a"], "'a' occur more than once"),
    ],
)
def test_what_is_no_list_of_names_is_refused(values, message):
    with pytest.raises(ValueError, match=f"^aliases: {message}"):
        check_names("aliases", values)


def test_a_list_may_hold_anything():
    check_list("classes", [1, "a", None])
