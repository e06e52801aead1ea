"""Every table has an end, or a reason why it needs none: docs/operations.md names each."""

import re
from pathlib import Path

from tierline.storage.db.tables import metadata

ROOT = Path(__file__).parents[3]


def test_the_page_says_for_every_table_when_its_rows_end() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.split("## What ends when", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (`.+?) \| (.+) \|$", section, re.MULTILINE)
    named = [table for tables, _ in rows for table in re.findall(r"`(\w+)`", tables)]
    assert sorted(named) == sorted(metadata.tables), "each table once"
    assert all(end.strip() for _, end in rows)
