"""Requests made from the OpenAPI document, good and bad, alone and in sequences: nothing is found.

The tool is run as its users run it, with all of its checks. That good data is accepted is not asked
of the operations below: a document cannot say which features are applied, which cursors were given,
what a feature file's text must be, which address is global, which keys were used, that one time is
not after another, or what time it is. TIERLINE_EXAMPLES asks for more requests an operation.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.support.api import Api
from tierline.services.accounts import create_key

SOME = "25"  # requests an operation; with a few, no sequence gets to a second step
# Ids of keys made here are far from those that the tool thinks of: it would revoke its own.
FAR = 4_000_000_000_000


DEPENDS_ON_MORE = (
    *("GET /v1/batches", "GET /v1/batches/{batch_id}/parts", "GET /v1/jobs"),  # cursors
    *("GET /v1/decisions", "GET /v1/webhook-deliveries", "GET /v1/webhook-endpoints"),
    "POST /v1/drafts",
    "POST /v1/jobs",
    "POST /v1/jobs/{job_id}/feedback",  # `expected` fits the feature's output
    "POST /v1/jobs/{job_id}/retry",  # a key that another request used
    "GET /v1/usage",  # `from` is not after `to`
    "POST /v1/batches",
    "PUT /v1/batches/{batch_id}/parts/{number}",
    "POST /v1/features",
    "POST /v1/keys",
    "POST /v1/prices",
    "POST /v1/webhook-endpoints",
    "PATCH /v1/webhook-endpoints/{endpoint_id}",
)
CONFIG = "".join(
    f'[[operations]]\ninclude-name = "{name}"\nchecks.positive_data_acceptance.enabled = false\n'
    for name in DEPENDS_ON_MORE
)

PATH = {"PYTHONPATH": str(Path(__file__).parents[3])}


@pytest.mark.timeout(600)
def test_nothing_is_found_in_requests_made_from_the_document(
    api: Api, rows: psycopg.Connection[tuple[object, ...]], tmp_path: Path
) -> None:
    rows.execute(f"ALTER TABLE api_keys ALTER COLUMN id RESTART WITH {FAR}")
    key = create_key(rows, "default", ("admin",)).key
    api.submit()
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    ran = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "schemathesis.cli",
                "--config-file",
                str(config),
                "run",
                f"{api.url}/openapi.json",
            ),
            *("--header", f"Authorization: Bearer {key}"),
            *("--phases", "examples,coverage,fuzzing,stateful", "--mode", "all"),
            *("--max-examples", os.environ.get("TIERLINE_EXAMPLES", SOME), "--seed", "20261124"),
            *("--no-color", "--no-shrink", "--continue-on-failure"),
        ],
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks", **PATH},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    followed = re.search(r"API Links: +(\d+) covered", ran.stdout)
    assert followed, "the stateful phase ran"
    assert int(followed[1]) > 0, "no sequence got to a second step"
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2_000:]
