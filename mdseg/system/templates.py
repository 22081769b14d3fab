"""Names in which `{split}` stands for that of a split."""

from string import Formatter
from typing import Any

from mdseg.system.wording import excerpt


def check_template(where: str, template: Any) -> None:
    """Refuse what `{split}` cannot be filled into.

    Raises:
        ValueError: no text, or something else in braces; it shows what was probably meant.
    """
    if not isinstance(template, str) or not template.strip():
        raise ValueError(f"{where}: expected a text, got {excerpt(template)}")
    try:
        fields = [field for field in Formatter().parse(template) if field[1] is not None]
    except ValueError as error:
        raise ValueError(f"{where}: {template!r}: {error}; only {{split}} stands in braces") from error
    for _, field, form, conversion in fields:
        written = f"{{{field}{f'!{conversion}' if conversion else ''}{f':{form}' if form else ''}}}"
        if written != "{split}":
            raise ValueError(
                f"{where}: {template!r} has {written}, but only {{split}} is filled in, such as "
                f"{template.replace(written, '{split}')!r}; braces of a name are doubled"
            )
