"""Following and cancelling a training from the command line; no trainer runs."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.cli import Ran, Tierline
from tests.support.samples.tickets import TICKETS
from tierline.cli.shared import operations


@pytest.fixture
def interrupted(
    tierline: Tierline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, Ran]:
    """A training's id, and what its command said at Ctrl-C."""
    file = tmp_path / "tickets.yaml"
    file.write_text(TICKETS)
    assert tierline("features", "apply", file).code == 0

    def press(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        clock = SimpleNamespace(sleep=press, monotonic=time.monotonic)
        patch.setattr(operations, "time", clock)
        ran = tierline("micro", "train", "tickets")
    listed = json.loads(tierline("micro", "trainings", "tickets", "--json").out)["data"]
    (id,) = (one["id"] for one in listed)
    return id, ran


def test_ctrl_c_leaves_a_training_at_work_and_says_how_to_go_on(
    tierline: Tierline, interrupted: tuple[str, Ran]
) -> None:
    id, ran = interrupted
    assert ran.code == 130
    assert f"follow it with 'tierline micro follow tickets {id}'" in ran.err
    assert "queued" in tierline("micro", "trainings", "tickets").out
    cancelled = tierline("micro", "cancel", "tickets", id)
    assert f"training {id} of tickets is cancelled" in cancelled.out
    followed = tierline("micro", "follow", "tickets", id)
    assert followed.code == 1
    assert "was cancelled" in followed.err
    assert tierline("router", "trainings", "tickets").out == "no training yet\n"
    assert "no training 999" in tierline("micro", "cancel", "tickets", 999).err
