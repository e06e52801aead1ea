"""Short forms of benchmarks: they run to their end, and their figures are possible ones."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.throughput.peers import NAMES as PEERS
from benchmarks.throughput.sides import PEERS_PYTHON
from tests.support.processes.prepared_home import MakeHome
from tests.support.processes.started import ROOT

Figures = dict[str, dict[str, Any]]
Bench = Callable[..., Figures]


@pytest.fixture(scope="module")
def prepared(make_home: MakeHome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home whose copies the benchmarks run on."""
    return make_home(tmp_path_factory.mktemp("benchmarks") / "home")


@pytest.fixture
def bench(prepared: Path) -> Bench:
    """One benchmark's figures, by what they tell. Whether a goal is reached is not judged here:
    other tests run beside this one.
    """

    def run(name: str, *options: str) -> Figures:
        ran = subprocess.run(
            [sys.executable, "-m", "benchmarks", name, "--short", "--json", *options],
            cwd=ROOT,
            env={**os.environ, "BENCH_PREPARED_HOME": str(prepared)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode in (0, 1), ran.stderr
        (found,) = json.loads(ran.stdout).values()
        return {figure["what"].strip(): figure for figure in found}

    return run


# More than the 100 and the 1,280 that can be done in the window.
BRIEF = ("--rounds", "1", "--window-s", "1", "--jobs", "1500", "--warm", "100")


def test_throughput_tells_what_a_job_costs(bench: Bench) -> None:
    only = ("--only", "tierline;strong")
    report = bench("throughput", "--peers", *BRIEF, *only)
    assert report["throughput / strong Celery task"]["value"] > 0
    for side in ("tierline", "strong"):
        assert 1 < report[side]["value"] < 1_280, "64 calls of 50 ms allow no more"
        assert report[f"{side}, statements of a job"]["value"] > 1.5, "a claim and a finish"
        assert 0.2 < report[f"{side}, processor time of a job"]["value"] < 50
        # One second does not settle which side writes more: few jobs share what else is written.
        assert 500 < report[f"{side}, WAL of a job"]["value"] < 50_000
    assert report["tierline, row versions of a job"]["value"] > 5


@pytest.mark.nightly
@pytest.mark.skipif(not PEERS_PYTHON.exists(), reason="`make peers` was not run")
@pytest.mark.parametrize("name", PEERS)
def test_throughput_beside_another_job_system(bench: Bench, name: str) -> None:
    report = bench("throughput", "--peers", *BRIEF, "--only", name)
    assert 1 < report[name]["value"] < 1_280
    assert report[f"{name}, statements of a job"]["value"] > 1.5
    assert report[f"{name}, row versions of a job"]["value"] > 4.5


def test_size_compares_each_step_with_a_new_database_and_tells_what_a_job_takes(
    bench: Bench,
) -> None:
    brief = ("--weeks", "3", "--rounds", "1", "--cycles", "2", "--reads", "10")
    report = bench("size", "--jobs", "6000", *brief)
    for step in ("choose", "claim", "finish", "get", "list", "usage", "report"):
        ratio = report[f"{step} beside 6,000 finished jobs / on a new database"]
        assert ratio["value"] > 0
        assert ratio["target"] == 1.2
    assert 1_000 < report["disk of a job"]["value"] < 4_000


@pytest.mark.parametrize(
    "holder",
    [
        pytest.param(("--finished", "1000"), id="a transaction"),
        pytest.param(("--pg-dump",), id="pg_dump", marks=pytest.mark.nightly),
    ],
)
def test_snapshot_compares_the_end_with_the_beginning(
    bench: Bench, holder: tuple[str, ...]
) -> None:
    report = bench("snapshot", "--jobs", "1024", "--cycles", "2", *holder)
    for step in ("choose", "claim", "finish"):
        ratio = report[f"{step} after 1,024 jobs beside a snapshot / at its beginning"]
        assert ratio["value"] > 0
        assert ratio["target"] == 1.5
    # What is not held is removed by and by: a job leaves several dead rows, and all are kept.
    assert report["dead rows at the end"]["value"] > 2


def test_accounts_tells_what_a_choice_takes_and_how_evenly_it_gives(bench: Bench) -> None:
    report = bench("accounts", "--sizes", "20,60", "--choices", "3")
    assert report["a choice among 60 waiting accounts"]["target"] == 20
    assert report["a choice among 20 waiting accounts"]["target"] is None
    assert report["jobs of one of 60 accounts when each has had one"]["value"] <= 2


def test_openai_door_compares_its_requests_with_those_of_jobs(bench: Bench) -> None:
    report = bench("openai_door", "--rounds", "1", "--requests", "20")
    for method in ("POST", "GET"):
        more = report[f"{method} /openai/v1/responses more than /v1/jobs, p50"]
        assert more["target"] == 0.5
        assert report[f"{method} /openai/v1/responses, p50"]["value"] > 0
