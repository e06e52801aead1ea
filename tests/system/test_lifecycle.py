"""`make lifecycle` in its short form: every step of it checks itself, and the first that fails ends
it. What is asserted here is that it came to its end, in order, and left nothing running.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.demo import of_home
from tests.support.up import environment

ROOT = Path(__file__).parents[2]
STAGES = ("[prototype]", "[evaluated]", "[default]", "webhook feature.drift", "webhook feature.dem")


@pytest.mark.timeout(900)
def test_a_feature_goes_from_the_frontier_to_a_classifier_and_back(tmp_path: Path) -> None:
    home, pictures = tmp_path / "home", tmp_path / "pictures"
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "examples.lifecycle", "--short"),
            *("--home", str(home), "--pictures", str(pictures)),
        ],
        cwd=ROOT,
        env=environment({}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    for stage in STAGES:
        assert stage in ran.stdout, stage
    for name in ("evaluation", "drift"):
        assert (pictures / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert not of_home(home)
