"""What a terminal shows, at 80 and 120 columns, with and without colour."""

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.fake_servers.scripted_api import ScriptedApi, scripted_api
from tests.support.processes.terminal import shown

COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3|9)\d")
STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def job(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"019ab8d5-7c30-7000-8000-{number:012}",
        "feature": "invoice-fields-of-our-suppliers",
        "status": "in_progress",
        "tier": "frontier",
        "cost_usd": "0.001234",
        "unknown_cost_calls": 1,
        "created_at": "2026-11-30T12:00:00Z",
        "error": None,
        "status_label": "running deeper analysis…",
        **more,
    }


@pytest.fixture
def jobs() -> Iterator[ScriptedApi]:
    with scripted_api() as server:
        rows = [job(1), job(2, status="completed", feature="echo"), job(3, status="failed")]
        server.script = [(200, {"data": rows, "next_cursor": None})]
        yield server


def environment(server: ScriptedApi, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TIERLINE_")}
    kept.pop("NO_COLOR", None)
    place = {"TIERLINE_URL": server.place.url, "TIERLINE_API_KEY": server.place.key}
    return {**kept, **place, **more}


@pytest.mark.parametrize(
    ("columns", "titles"),
    [
        (80, ["ID", "FEATURE", "STATUS", "COST"]),
        (120, ["ID", "FEATURE", "STATUS", "TIER", "COST", "SUBMITTED"]),
        (200, ["ID", "FEATURE", "STATUS", "TIER", "COST", "SUBMITTED", "NOTE"]),
    ],
)
def test_a_list_of_jobs_has_one_line_a_job(
    jobs: ScriptedApi, columns: int, titles: list[str]
) -> None:
    text = STYLE.sub("", shown(["jobs", "list"], environment(jobs), columns=columns))
    lines = text.splitlines()
    assert lines[0].split() == titles
    assert len(lines) == 4
    assert all(len(line.rstrip()) <= columns for line in lines)
    assert [line.split()[0] for line in lines[1:]] == [job(n)["id"] for n in (1, 2, 3)]


def test_no_color_takes_the_colours_away_and_nothing_else(jobs: ScriptedApi) -> None:
    coloured = shown(["jobs", "list"], environment(jobs))
    plain = shown(["jobs", "list"], environment(jobs, NO_COLOR="1"))
    assert COLOUR.search(coloured)
    assert not COLOUR.search(plain)
    assert STYLE.sub("", coloured) == STYLE.sub("", plain)


def test_a_key_is_on_a_line_of_its_own(jobs: ScriptedApi) -> None:
    key = "tl_" + "k" * 70
    made = {"id": 7, "account": "default", "scopes": ["submit", "read"], "key": key}
    jobs.script = [(201, made)]
    text = STYLE.sub("", shown(["keys", "create"], environment(jobs), columns=80))
    assert key in text.splitlines()


def test_help_fits_80_columns_with_one_line_a_command(jobs: ScriptedApi) -> None:
    lines = shown(["--help"], environment(jobs), columns=80).splitlines()
    assert all(len(line) <= 80 for line in lines)
    start = lines.index("Run:")
    named = [line for line in lines[start:] if line.strip() and not line.endswith(":")]
    assert all(re.match(r"  [a-z]+ +[A-Z]", line) for line in named)
