"""The Procfile: the list of the product's processes, `name: command` per line.

Commands are words, not shell: quotes group words, $NAME and ${NAME} are replaced inside a word, and
nothing else is special. The supervisor starts the processes.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tierline
from tierline.base.errors import Problem, UsageError

LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>.+)")
VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)\}|(?P<plain>\w+))")


@dataclass(frozen=True)
class Entry:
    """One process in the list."""

    name: str
    command: str  # as written
    line: int

    def argv(self, environment: Mapping[str, str]) -> list[str]:
        """The words to execute. Raises UsageError for a variable that is not set."""

        def value(match: re.Match[str]) -> str:
            name = match["braced"] or match["plain"]
            if name not in environment:
                raise UsageError(
                    f"Procfile, line {self.line}: {self.name} needs ${name}, which is not set"
                )
            return environment[name]

        return [VARIABLE.sub(value, word) for word in shlex.split(self.command)]


def parse(text: str, source: str = "Procfile") -> list[Entry]:
    """The entries in order. Raises UsageError with every invalid line."""
    entries: dict[str, Entry] = {}
    problems = []
    for number, raw in enumerate(text.splitlines(), start=1):
        stripped = raw.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = LINE.fullmatch(stripped)
        if match is None:
            problems.append(Problem("not 'name: command'", line=number, source=source))
        elif match["name"] in entries:
            problems.append(Problem(f"{match['name']} is listed twice", line=number, source=source))
        else:
            entry = Entry(match["name"], match["command"], number)
            try:
                shlex.split(entry.command)
            except ValueError as error:
                problems.append(Problem(str(error), line=number, source=source))
            entries[entry.name] = entry
    if problems:
        raise UsageError("; ".join(str(problem) for problem in problems))
    return list(entries.values())


def default_path() -> Path:
    """The product's own Procfile: beside the source, or inside the installed package."""
    package = Path(tierline.__file__).parent
    beside = package.parents[1] / "Procfile"
    return beside if beside.exists() else package / "stack" / "Procfile"
