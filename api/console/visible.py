"""Text of strangers made visible: what would control a terminal or turn a line's direction is
shown as its code, and a long text is cut."""

import re
from typing import NamedTuple

from markupsafe import Markup

MOST_SHOWN = 20_000  # characters of one text on a page
# C0 but tab and line feed, DEL, C1, bidirectional marks and overrides, line separators, a BOM, and
# halves of surrogate pairs, which cannot be encoded.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    "\ud800-\udfff]"
)


class Cut(NamedTuple):
    """A text as far as it is shown."""

    text: str
    left_out: int  # characters


def visible(text: str) -> str:
    r"""The text with hidden characters as `\x1b` or `\u202e`. Tabs and line feeds stay."""
    return _HIDDEN.sub(_code, text.replace("\r\n", "\n"))


def cut(text: str, most: int = MOST_SHOWN) -> Cut:
    """The beginning of a text, and how much is left out."""
    return Cut(text[:most], max(0, len(text) - most))


def finalize(value: object) -> object:
    """What a template writes for a value: hidden characters never reach a page."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _code(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
