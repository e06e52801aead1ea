"""What `make nightly` runs: every nightly test, each with the time that it gives."""

import ast
import re
from collections.abc import Iterator

from tests.support.processes.started import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
NOT_FOR_TESTS = {"docs"}  # `make docs` alone uses it


def test_it_installs_everything_that_a_nightly_test_would_be_skipped_without() -> None:
    environments = set(re.findall(r"^\$\(VENV\)/(\w+)/\.ready:", MAKEFILE, re.MULTILINE))
    nightly = re.search(r"^nightly: (.*)$", MAKEFILE, re.MULTILINE)
    assert nightly is not None
    installed = set(re.findall(r"\$\(VENV\)/(\w+)/\.ready", nightly[1]))
    assert installed == environments - NOT_FOR_TESTS


def test_no_nightly_test_ends_before_the_time_that_it_gives() -> None:
    given = re.search(r"--hypothesis-profile nightly .*--timeout (\d+)", MAKEFILE)
    assert given is not None
    files = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    earlier = [
        f"{path.relative_to(ROOT)}:{line}: {limit_s} s"
        for path, text in files.items()
        if "mark.nightly" in text
        for line, limit_s in limits(ast.parse(text))
        if limit_s < int(given[1])
    ]
    assert earlier == []


def limits(tree: ast.Module) -> Iterator[tuple[int, float]]:
    """Each limit of a test and of a process that it waits for: the line, and the seconds."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Attribute(attr="mark"), attr="timeout"),
                args=[ast.Constant(value=int() | float() as limit_s)],
            ):
                yield node.lineno, limit_s
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="subprocess"), attr="run"), keywords=keywords
            ):
                for keyword in keywords:
                    if keyword.arg == "timeout" and isinstance(keyword.value, ast.Constant):
                        yield node.lineno, float(str(keyword.value.value))
