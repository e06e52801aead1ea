"""`make demo LARGER=0` as a user runs it: the whole product, interrupted and gone on with.

In the suite it has every sixteenth input and a model server on loopback in the place of the small
model; `make nightly` has all inputs and the model. Nothing is asserted of what the model answers:
that every row became one job which ended once, that the picture says what a stand-in is, and that
nothing is left running.
"""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from examples.demo.bar import BAR_MISSED
from examples.demo.rows import read_rows
from tests.support.fake_servers.stand_ins import answering_demo
from tests.support.processes.demo import SLOW_S, of_home, start
from tests.support.processes.prepared_home import MakeHome
from tests.support.waiting import wait_until

FEW = 16  # every so many inputs


@pytest.fixture
def interrupted() -> Event:
    """One answer waits for it, so that the demo is not at its end when it is interrupted."""
    return Event()


@pytest.fixture
def local_url(every: int, interrupted: Event) -> Iterator[str | None]:
    """The server that answers in the model's place; None: the model itself."""
    if every == 1:
        yield None
        return
    with answering_demo(read_rows(every)[-1].input["text"], interrupted) as url:
        yield url


@pytest.mark.parametrize("every", [FEW, pytest.param(1, marks=pytest.mark.nightly)])
def test_an_interrupted_demo_leaves_nothing_goes_on_and_makes_one_job_of_every_row(
    tmp_path: Path,
    make_home: MakeHome,
    every: int,
    local_url: str | None,
    interrupted: Event,
) -> None:
    home, log = make_home(tmp_path / "demo home"), tmp_path / "log"
    demo = start(home, log, every, local_url)
    try:
        wait_until(
            lambda: "completed" in log.read_text() or demo.poll() is not None,
            SLOW_S,
            "the first jobs to be done",
        )
        assert demo.poll() is None, log.read_text()
        demo.send_signal(signal.SIGINT)
        interrupted.set()
        assert demo.wait(SLOW_S) == 130, log.read_text()
    finally:
        demo.kill()
    assert not of_home(home)
    run = json.loads((home / "demo" / "run.json").read_text())
    demo = start(home, log, every, local_url)
    try:
        code = demo.wait(SLOW_S)
    finally:
        demo.kill()
    log_text = log.read_text()
    # The stand-in for the model answers many wrong; the exit code says so.
    assert code == (BAR_MISSED if "It did NOT hold." in log_text else 0), log_text
    assert "going on with the run that was interrupted" in log_text
    assert json.loads((home / "demo" / "run.json").read_text())["run_id"] == run["run_id"]
    rows = len(read_rows(every))
    assert f"{rows} rows, {rows} jobs" in log_text
    assert "Every row is one job, and each ended once." in log_text
    assert "stand-in" in log_text
    assert "left to a person" in log_text
    assert " served, " in log_text
    assert "the bar is 5%" in log_text
    assert "A promise, and what came of it: at most 5% of what it serves is wrong" in log_text
    assert log_text.count("training a classifier") == 1  # the second run has one
    assert "saving against it would mean nothing" in log_text
    assert " 0 with a wrong signature" in log_text
    assert "tierline up --home" in log_text
    assert not of_home(home)
