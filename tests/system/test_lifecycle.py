"""`make lifecycle`: every step of it checks itself, and the first that fails ends it.

In the suite it is the short form, with a model server on loopback in the place of the small model;
`make nightly` runs all of it, with the model. What is asserted here is that it came to its end, in
order, and left nothing running.
"""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from examples.lifecycle.story import SHORT
from tests.support.fake_servers.stand_ins import answering_tickets
from tests.support.processes.demo import of_home
from tests.support.processes.prepared_home import MakeHome
from tests.support.processes.started import ROOT
from tests.support.processes.up import environment

STAGES = (
    *("The feature is prototype.", "The feature is evaluated.", "The feature is default."),
    *("webhook feature.drift", "webhook feature.demoted"),
)
SEEDS = (1, 2, 3, 4)  # of the tickets of each part


@pytest.mark.parametrize("short", [True, pytest.param(False, marks=pytest.mark.nightly)])
def test_a_feature_goes_from_the_frontier_to_a_classifier_and_back(
    tmp_path: Path, make_home: MakeHome, short: bool
) -> None:
    home, pictures = make_home(tmp_path / "home"), tmp_path / "pictures"
    options = ["--home", str(home)]
    with ExitStack() as stack:
        if short:
            url = stack.enter_context(answering_tickets(SHORT.most, SEEDS, SHORT.late))
            options += ["--short", "--local-url", url]
        else:
            options += ["--pictures", str(pictures)]
        ran = subprocess.run(
            [sys.executable, "-m", "examples.lifecycle", *options],
            cwd=ROOT,
            env=environment({}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    for stage in STAGES:
        assert stage in ran.stdout, stage
    for name in () if short else ("evaluation", "drift"):
        assert (pictures / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert not of_home(home)
