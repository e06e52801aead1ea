"""Reads a file's values one by one. Problems are recorded, and reading goes on."""

import difflib
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeVar

from tierline.base.errors import Problem
from tierline.base.json_pointer import pointer
from tierline.base.json_text import JSON, short
from tierline.base.yaml_lines import Document, Path

MOST_HINTS = 5  # per file or request, because finding a similar word takes time
MOST_WORD = 64  # characters of a word; comparing takes time by the square of them
MOST_CHOICES = 500  # words to compare it with

Word = TypeVar("Word", bound=str)


@dataclass
class Reading:
    """One file being read. Each method returns the value, or a default after recording a
    problem.
    """

    document: Document
    source: str
    known_checks: Collection[str] | None = None  # names of the operator's checks; None: not known
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)  # what is allowed and probably not meant
    _hints: int = 0

    def problem(self, path: Path, message: str) -> None:
        line = self.document.line(path)
        self.problems.append(Problem(message, pointer(path), line, self.source))

    def warn(self, path: Path, message: str) -> None:
        line = self.document.line(path)
        self.warnings.append(Problem(message, pointer(path), line, self.source))

    def mapping(
        self, value: JSON, path: Path, keys: Collection[str], required: Collection[str] = ()
    ) -> dict[str, JSON]:
        """The mapping at `path`. Unknown and missing keys are recorded."""
        if not isinstance(value, dict):
            self.problem(path, f"must be a mapping, not {_kind(value)}")
            return {}
        for key in value:
            if key not in keys:
                self._hints += 1
                hint = near(key, keys) if self._hints <= MOST_HINTS else ""
                self.problem((*path, key), f"unknown key {short(key)}{hint}")
        for key in required:
            if key not in value:
                self.problem(path, f"the key {short(key)} is missing")
        return value

    def items(self, value: JSON, path: Path, least: int, most: int) -> list[JSON]:
        """The list at `path`, cut to `most` items."""
        if not isinstance(value, list):
            self.problem(path, f"must be a list, not {_kind(value)}")
            return []
        if not least <= len(value) <= most:
            self.problem(path, f"must have {least} to {most} items, not {len(value)}")
        return value[:most]

    def text(self, value: JSON, path: Path, most: int, least: int = 1) -> str:
        """The text at `path`, of `least` to `most` characters."""
        if not isinstance(value, str):
            hint = "; put it in quotes" if isinstance(value, bool | int | float) else ""
            self.problem(path, f"must be text, not {_kind(value)}{hint}")
            return ""
        if len(value.strip()) < least:
            self.problem(path, "must not be empty")
        if len(value) > most:
            self.problem(path, f"must have at most {most:,} characters, not {len(value):,}")
        return value

    def number(self, value: JSON, path: Path, least: float, most: float, unit: str = "") -> float:
        """The number at `path`, `least` and `most` included."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.problem(path, f"must be a number, not {_kind(value)}")
            return least
        if not least <= value <= most:
            self.problem(path, f"must be {least:g} to {most:g}{unit}, not {value:g}")
            return least
        return float(value)

    def integer(self, value: JSON, path: Path, least: int, most: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            self.problem(path, f"must be a whole number, not {_kind(value)}")
            return least
        if not least <= value <= most:
            self.problem(path, f"must be {least} to {most}, not {value}")
            return least
        return value

    def boolean(self, value: JSON, path: Path) -> bool:
        if not isinstance(value, bool):
            self.problem(path, f"must be true or false, not {_kind(value)}")
            return False
        return value

    def choice(self, value: JSON, path: Path, words: tuple[Word, ...]) -> Word:
        for word in words:
            if value == word:
                return word
        shown = short(value) if isinstance(value, str) else _kind(value)
        hint = near(value, words) if isinstance(value, str) else ""
        self.problem(path, f"must be {' or '.join(words)}, not {shown}{hint}")
        return words[0]


def near(word: str, choices: Collection[str]) -> str:
    """A suggestion of what the writer may have meant, as the end of a message."""
    close = close_to(word.lower(), choices, most=1, cutoff=0.6)
    if close:
        return f"; did you mean {short(close[0])}?"
    return f"; expected one of {', '.join(sorted(choices))}" if len(choices) <= 12 else ""


def close_to(word: str, choices: Collection[str], most: int, cutoff: float) -> list[str]:
    """The choices most similar to `word`, best first; none for a long word."""
    if len(word) > MOST_WORD or len(choices) > MOST_CHOICES:
        return []
    short_ones = [one for one in choices if len(one) <= MOST_WORD]
    return difflib.get_close_matches(word, short_ones, n=most, cutoff=cutoff)


def _kind(value: JSON) -> str:
    if value is None:
        return "empty"
    names = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    return names.get(type(value), "a list" if isinstance(value, list) else "a mapping")
