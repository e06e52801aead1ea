"""Requests made from the OpenAPI document, good and bad, alone and in sequences: nothing is found.

The tool is run as its users run it, with all of its checks. That good data is accepted is not asked
of the operations below: a document cannot say which features are applied, which cursors were given,
what a feature file's text must be, which address is global, which keys were used, that one time is
not after another, or what time it is. The suite asks few requests of an operation, and one run of
sequences; `make nightly` asks more. TIERLINE_EXAMPLES and TIERLINE_SEEDS ask as many as they say: a
run of sequences ends where an answer is another than before, as it is once something was removed,
so that many short ones get further than a long one.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.support.api.served import Api
from tierline.services.accounts.accounts import create_key

EXAMPLES = int(os.environ.get("TIERLINE_EXAMPLES", "3"))  # requests an operation
SEEDS = int(os.environ.get("TIERLINE_SEEDS", "1"))  # runs of sequences
MORE_EXAMPLES, MORE_SEEDS = 25, 3  # in `make nightly`


DEPENDS_ON_MORE = (
    *("GET /v1/batches", "GET /v1/batches/{batch_id}/parts", "GET /v1/jobs"),  # cursors
    *("GET /v1/decisions", "GET /v1/webhook-deliveries", "GET /v1/webhook-endpoints"),
    "GET /v1/features/{name}/outcomes",
    *("GET /v1/feedback/queue", "GET /v1/bulk-actions"),  # cursors
    "POST /v1/bulk-actions",  # a key that another request used
    "POST /v1/drafts",
    "POST /v1/jobs",
    "POST /v1/jobs:batch",
    *("GET /v1/events", "GET /v1/jobs/{job_id}/events"),  # ids of events that were sent
    "POST /v1/feedback",  # which jobs there are, and that `expected` fits their features' output
    "POST /v1/jobs/{job_id}/feedback",
    "POST /v1/jobs/{job_id}/retry",  # a key that another request used
    *("GET /v1/usage", "GET /v1/features/{name}/report"),  # `from` is not after `to`
    "GET /v1/features/{name}/economics",  # nor that, nor that a peak is above the mean
    "POST /v1/batches",
    "POST /v1/features",
    "POST /v1/keys",
    *(
        "POST /v1/plans",
        "PUT /v1/accounts/{name}/plan",
    ),  # one budget a period; which plans there are
    "POST /v1/features/{name}/calibrations",  # which models there are outcomes of
    "POST /v1/features/{name}/routers",  # what a router is
    "POST /v1/features/{name}/datasets",  # that something is labelled, and not all alike
    "POST /v1/features/{name}/micro-models",  # what a micro model is, and which features have one
    "POST /v1/prices",  # how many digits an amount may have
    "POST /v1/webhook-endpoints",
    "PATCH /v1/webhook-endpoints/{endpoint_id}",
)
CONFIG = "".join(
    f'[[operations]]\ninclude-name = "{name}"\nchecks.positive_data_acceptance.enabled = false\n'
    for name in DEPENDS_ON_MORE
)

ROOT = Path(__file__).parents[4]
Schemathesis = Callable[..., str]


@pytest.fixture
def schemathesis(
    api: Api, rows: psycopg.Connection[tuple[object, ...]], tmp_path: Path
) -> Schemathesis:
    """Run it with these options; what it printed. Fails when it finds something."""
    key = create_key(rows, "default", ("operator",)).key
    kept = " ".join(str(id) for (id,) in rows.execute("SELECT id FROM api_keys"))
    api.submit()
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)

    def run(*options: object) -> str:
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
                *("run", f"{api.url}/openapi.json", "--header", f"Authorization: Bearer {key}"),
                *("--mode", "all", "--no-color", "--no-shrink", "--continue-on-failure"),
                *("--generation-database", "none"),
                *("--request-timeout", "60"),  # a busy machine, and a route's first import of SciPy
                *(str(option) for option in options),
            ],
            cwd=tmp_path,
            env={
                **os.environ,
                "SCHEMATHESIS_HOOKS": "tests.support.api.schemathesis_hooks",
                "PYTHONPATH": str(ROOT),
                "TIERLINE_KEPT_KEYS": kept,
                # Hypothesis keeps its tables of characters there; they take seconds to make.
                "HYPOTHESIS_STORAGE_DIRECTORY": str(ROOT / ".hypothesis"),
                "NO_PROXY": "127.0.0.1",  # else each request looks through the whole environment
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2_000:]
        return ran.stdout

    return run


@pytest.mark.parametrize(
    "examples", [EXAMPLES, pytest.param(MORE_EXAMPLES, marks=pytest.mark.nightly)]
)
def test_nothing_is_found_in_requests_made_from_the_document(
    schemathesis: Schemathesis, examples: int
) -> None:
    phases = ("--phases", "examples,coverage,fuzzing")
    schemathesis(*phases, "--max-examples", examples, "--seed", 20261124)


@pytest.mark.parametrize(
    "seed",
    [
        *range(1, SEEDS + 1),
        *(
            pytest.param(seed, marks=pytest.mark.nightly)
            for seed in range(SEEDS + 1, MORE_SEEDS + 1)
        ),
    ],
)
def test_nothing_is_found_in_sequences_where_one_answer_leads_to_the_next_request(
    schemathesis: Schemathesis, seed: int
) -> None:
    output = schemathesis("--phases", "stateful", "--max-examples", 100, "--seed", seed)
    followed = re.search(r"API Links: +(\d+) covered", output)
    assert followed, "the stateful phase ran"
    print(followed[0])
    assert int(followed[1]) > 0, "no sequence got to a second step"
