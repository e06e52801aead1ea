"""The command blocks of a Markdown page, with what the page says of them to whoever runs it.

A comment right before a block is not shown to readers: `<!-- not in a test: WHY -->` keeps a block
from being run, `<!-- exit code 1 -->` is what it is expected to end with.
"""

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"(?:^<!-- (?P<comment>[^>]*) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: Path
    line: int
    kind: str  # sh, console, python, json, yaml
    text: str
    comment: str  # before it

    @property
    def why_not_run(self) -> str | None:
        """The page's reason for a block that no test runs."""
        mark, _, why = self.comment.partition("not in a test: ")
        return why if mark == "" and why else None

    @property
    def exit_code(self) -> int:
        match = re.fullmatch(r"exit code (\d+)", self.comment)
        return int(match[1]) if match else 0

    @property
    def where(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page,
            text[: match.start("kind")].count("\n") + 1,
            match["kind"],
            match["text"],
            match["comment"] or "",
        )
        for match in _BLOCK.finditer(text)
    ]
