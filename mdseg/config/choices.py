"""What a command line chooses of the groups in `conf/`: names of options, of which only `dataset` takes several."""

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, QuotedString, Sweep

from mdseg import conf_dir
from mdseg.system.names import check_name, check_names
from mdseg.system.wording import excerpt


def check_choices(overrides: Sequence[str]) -> None:
    """Refuse choices that Hydra would lay one over the other, drop, or break on without naming them.

    Args:
        overrides: of a command line, perhaps of a sweep.

    Raises:
        ValueError: it names the group.
        HydraException: what Hydra cannot read.
    """
    named: dict[str, str] = {}
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        group, said = override.key_or_group, str(override.input_line)
        if override.is_delete():
            continue
        for value in _values(override) if (conf_dir() / group).is_dir() else ():
            if isinstance(value, Glob):
                continue
            if group == "dataset":
                dataset_names(value, group)
            elif not isinstance(value, str | dict):  # Hydra takes keys with values for those of the group's option
                options = ", ".join(sorted(path.stem for path in (conf_dir() / group).glob("*.yaml")))
                raise ValueError(
                    f"{said}: expected the name of one option of {group}, got {excerpt(value)}; there are {options}"
                )
        key = str(override.get_key_element()).lstrip("+")
        if group in ("dataset", "on") and named.setdefault(key, said) != said:
            raise ValueError(f"{named[key]} and {said}: only the second would count; write all names into one")


def dataset_names(given: object, key: str = "on") -> list[str]:
    """What `on=` or `dataset=` names: `on=[a,b]`, or one without brackets.

    Raises:
        ValueError: anything else, such as `on=a,b`.
    """
    given = ",".join(map(str, given.list)) if isinstance(given, ChoiceSweep) else given
    names = [given] if isinstance(given, str) else given
    texts = isinstance(names, list) and all(isinstance(name, str) and name.strip() for name in names)
    if not isinstance(names, list) or not texts or not (names or key == "dataset"):
        raise ValueError(
            f"{key}: expected names of datasets in brackets, such as {key}=[cityscapes,idd], got {excerpt(given)}"
        )
    if quoted := next((name for name in names if set(name) & set("[],")), None):
        raise ValueError(
            f"{key}: {excerpt(quoted)} is one text and no name; in brackets without quotes of their own names are a "
            f"list, {key}=[cityscapes,idd]"
        )
    check_names(key, names)
    for name in names:
        check_name(key, name)
    return names


def _values(override: Override) -> list[Any]:
    """The value of an argument, or those that a sweep tries one after the other."""
    value = override.value()
    values = value.list if isinstance(value, ChoiceSweep) else [] if isinstance(value, Sweep) else [value]
    return [_plain(each) for each in values]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.text if isinstance(value, QuotedString) else value
