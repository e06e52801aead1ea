"""What the page of promises names exists: every fault and every test."""

import re
from pathlib import Path

from tests.faults.breaking import all_faults

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "promises.md").read_text()
TABLE = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]


def test_every_promise_names_what_shows_it() -> None:
    for line in TABLE:
        shown_by = line.rstrip("| ").rpartition(" | ")[2]
        assert re.search(r'"|`tests/|every fault', shown_by), line


def test_every_fault_is_on_the_page_and_every_one_on_the_page_exists() -> None:
    named = {name for line in TABLE for name in re.findall(r'"([^"]+)"', line)}
    assert named == {fault.name for fault in all_faults()}


def test_every_test_on_the_page_exists() -> None:
    for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE):
        assert (ROOT / path).exists(), path
        assert f"def {name}(" in (ROOT / path).read_text() or not name, name
