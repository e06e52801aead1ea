"""The examples of the Python client run: those of its docstrings, its README and its page."""

import doctest
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import add_feature
from tests.support.docs import Block, blocks
from tests.support.processes.played_worker import played
from tierline.features.parse import parse_feature
from tierline.services.accounts.accounts import create_key
from tierline_client import Tierline, client, sse, webhooks

ROOT = Path(__file__).parents[3]
PAGES = (ROOT / "client" / "README.md", ROOT / "docs" / "python.md")
BLOCKS = [block for page in PAGES for block in blocks(page) if block.kind == "python"]


def invoice(input: Any) -> tuple[str, Any]:
    match = re.search(r"(A-\d+), ([\d.]+) (\w+)", input["text"])
    assert match
    number, total, currency = match.groups()
    return "completed", {
        "invoice_number": number,
        "total": float(total),
        "currency": currency,
    }


@pytest.fixture
def environment_of_examples(
    api: Api, rows: psycopg.Connection[Any], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The feature invoice-fields, whose jobs a played worker answers, and a key."""
    if rows.execute("SELECT FROM features WHERE name = 'invoice-fields'").fetchone() is None:
        source = (ROOT / "examples" / "features" / "invoice-fields.yaml").read_text()
        add_feature(rows, parse_feature(source))
    monkeypatch.setenv("TIERLINE_URL", api.url)
    monkeypatch.setenv("TIERLINE_API_KEY", create_key(rows, "default", ("submit", "read")).key)
    with played(database_url, "invoice-fields", invoice):
        yield


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_a_block_runs(environment_of_examples: None, block: Block) -> None:
    exec(compile(block.text, block.where, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("module", [client, sse, webhooks], ids=lambda module: module.__name__)
def test_the_examples_of_docstrings_say_what_happens(
    environment_of_examples: None, module: Any
) -> None:
    with Tierline() as own:
        job = own.jobs.submit_and_wait("invoice-fields", {"text": "Invoice A-17, 12.50 EUR"})
        found = doctest.DocTestFinder(exclude_empty=True).find(
            module, globs={**vars(module), "client": own, "job": job}
        )
        examples = [one for one in found if one.examples]
        assert examples
        output: list[str] = []
        runner = doctest.DocTestRunner(verbose=False)
        for one in examples:
            runner.run(one, out=output.append, clear_globs=False)
    assert not runner.summarize(verbose=False).failed, "".join(output)
