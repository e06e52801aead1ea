"""The examples of docs/openai.md run, and its table has every parameter."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from openai.types.chat import completion_create_params as chat
from openai.types.responses import response_create_params as responses

from tests.support.api.served import Api
from tests.support.database.rows import add_feature
from tests.support.docs import Block, blocks
from tests.support.processes.played_batch_reader import reading_batches
from tests.support.processes.played_worker import played
from tierline.features.parse import parse_feature

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "openai.md"
BLOCKS = [block for block in blocks(PAGE) if block.kind == "python"]


def invoice(_: Any) -> tuple[str, Any]:
    return "completed", {"invoice_number": "A-17", "total": 12.5, "currency": "EUR"}


@pytest.fixture
def examples(
    api: Api,
    key: str,
    rows: psycopg.Connection[Any],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """The feature invoice-fields, whose jobs a played worker answers, and a key."""
    if rows.execute("SELECT FROM features WHERE name = 'invoice-fields'").fetchone() is None:
        source = (ROOT / "examples" / "features" / "invoice-fields.yaml").read_text()
        add_feature(rows, parse_feature(source))
    monkeypatch.setenv("TIERLINE_URL", api.url)
    monkeypatch.setenv("TIERLINE_API_KEY", key)
    with reading_batches(database_url), played(database_url, "invoice-fields", invoice):
        yield


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_a_block_runs(examples: None, block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block.text, block.where, "exec"), {"__name__": "__main__"})
    assert "12.5" in capsys.readouterr().out


@pytest.mark.parametrize(
    "kind",
    [
        responses.ResponseCreateParamsBase,
        responses.ResponseCreateParamsStreaming,
        chat.CompletionCreateParamsBase,
        chat.CompletionCreateParamsStreaming,
    ],
)
def test_the_table_has_every_parameter_of_the_client(kind: Any) -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([a-z_.]+)`", row.split("|")[1])}
    shown = named | {name.partition(".")[0] for name in named}
    assert set(kind.__annotations__) <= shown
