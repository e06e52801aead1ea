"""The Python of the main README runs, on the feature that stands above it."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import add_feature
from tests.support.docs import blocks
from tests.support.processes.played_worker import played
from tierline.features.parse import parse_feature
from tierline.services.accounts.accounts import create_key

README = Path(__file__).parents[3] / "README.md"


def order_number(input: Any) -> tuple[str, Any]:
    return "completed", {"order_number": input["text"].split()[1]}


def test_the_call_gets_the_answer_of_the_feature(
    api: Api,
    rows: psycopg.Connection[Any],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = {block.kind: block.text for block in blocks(README) if block.kind in {"yaml", "python"}}
    add_feature(rows, parse_feature(text["yaml"]))
    monkeypatch.setenv("TIERLINE_URL", api.url)
    monkeypatch.setenv("TIERLINE_API_KEY", create_key(rows, "default", ("submit", "read")).key)
    with played(database_url, "order-number", order_number):
        exec(compile(text["python"], "README.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.startswith("{'order_number': 'ZK-4410'} ")
