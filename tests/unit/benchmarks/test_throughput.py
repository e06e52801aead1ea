"""The figures of `python -m benchmarks.throughput`, made of windows."""

import pytest

from benchmarks.throughput.counters import Counters
from benchmarks.throughput.peers import NAMES
from benchmarks.throughput.report import figures
from benchmarks.throughput.sides import BACKFILL, INTERACTIVE, SIDES, WITH_PEERS, peers_missing
from benchmarks.throughput.window import Window
from tests.support.processes.started import ROOT


def window(rate: float, cpu_ms: float = 1.0, wal: float = 2_000) -> Window:
    return Window(rate, 60, {"workers": cpu_ms / 2, "Postgres": cpu_ms / 2}, Counters(wal, 3, 9, 2))


def test_each_round_is_compared_with_itself() -> None:
    by_side = {INTERACTIVE: [window(800), window(400)], "dramatiq": [window(1000), window(400)]}
    ratio = next(one for one in figures(by_side) if one.what == "throughput / dramatiq")
    assert (ratio.value, ratio.low, ratio.high) == (pytest.approx(0.9), 0.8, 1.0)
    assert ratio.reached


def test_what_is_behind_its_goal_is_not_reached() -> None:
    by_side = {
        INTERACTIVE: [window(800, cpu_ms=2.4, wal=3_800)],
        BACKFILL: [window(900)],
        "dramatiq": [window(1000)],
    }
    missed = {one.what.strip() for one in figures(by_side) if one.reached is False}
    assert missed == {
        "throughput / dramatiq",
        "throughput of the backfill lane / dramatiq",
        "tierline, processor time of a job",
        "tierline, WAL of a job",
    }


def test_without_the_peers_only_rates_have_a_goal() -> None:
    by_side = {INTERACTIVE: [window(800, cpu_ms=9)], "strong": [window(800)]}
    judged = [one.what for one in figures(by_side) if one.target is not None]
    assert judged == ["throughput / strong Celery task"]


def test_every_peer_is_a_side_with_a_file_of_its_own_and_needs_its_environment() -> None:
    folder = ROOT / "benchmarks" / "throughput" / "peers"
    assert {f"peer_{name}.py" for name in NAMES} == {one.name for one in folder.glob("peer_*.py")}
    assert set(NAMES) == set(WITH_PEERS) - set(SIDES) - {BACKFILL}
    assert peers_missing(["huey"], python=ROOT / "nowhere")
    assert not peers_missing(["strong"], python=ROOT / "nowhere")


def test_setup_never_installs_the_peers() -> None:
    locks = ROOT / "requirements"
    for lock in set(locks.glob("*.lock")) - {locks / "peers.lock"}:
        assert "pgqueuer==" not in lock.read_text(), lock.name
    assert "http" not in (locks / "peers.lock").read_text().replace("aiohttp", "")
