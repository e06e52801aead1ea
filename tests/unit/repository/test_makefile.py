"""What `make` prints while it works."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_each_step_of_the_setup_is_announced_before_it_begins() -> None:
    ran = subprocess.run(
        ["make", "--dry-run", "--always-make", "setup"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    steps = [line for line in ran.stdout.splitlines() if "uv pip sync" in line or "echo" in line]
    kinds = ["echo" if line.startswith("echo") else "sync" for line in steps]
    assert kinds == ["echo", "sync", "echo", "sync", "echo"]
    assert "setup 1/2: installing" in steps[0]
    assert "setup 2/2: installing" in steps[2]
    assert "Next: './tierline up'" in steps[4]
