"""What stands in the environment of each process that `up` starts, as the kernel tells it."""

import sys
from pathlib import Path

import psutil
import pytest

from tests.support.processes.up import run_up
from tierline.stack.processes import environment

SENTINEL = "sentinel-of-a-provider-key"
OTHER = "sentinel-of-somebody-elses-secret"
OWN = {"TIERLINE_OPENAI_COMPATIBLE": "our-llm=http://127.0.0.1:9/v1"}
CALL_MODELS = {"slm", "deeper", "quarantine"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="read from /proc")
def test_only_processes_that_call_models_hold_providers_keys(tmp_path: Path) -> None:
    keys = environment.secret_variables(OWN) - {"TIERLINE_LOCAL_API_KEY"}  # up makes its own
    given = {**dict.fromkeys(keys, SENTINEL), **OWN, "GITHUB_TOKEN": OTHER}
    given["TIERLINE_WEBHOOK_SECRET"] = given["AWS_SECRET_ACCESS_KEY"] = OTHER
    with run_up(tmp_path / "home", env=given) as up:
        holding, others = set(), set()
        named = {
            up.pid_of(file.name.removesuffix(".pid.json")): file.name.removesuffix(".pid.json")
            for file in (up.home / "run").glob("*.pid.json")
        }
        others_too = {"postgres", "valkey", "flower", "api", "dispatcher", "webhooks"}
        assert others_too | CALL_MODELS <= set(named.values())
        assert any(name.startswith("model-") for name in named.values())
        for process in up.descendants():
            name = named.get(process.pid) or _of_which(process, named)
            held = Path(f"/proc/{process.pid}/environ").read_bytes().decode(errors="replace")
            if SENTINEL in held:
                holding.add(name)
            if OTHER in held.replace(f"AWS_SECRET_ACCESS_KEY={OTHER}", ""):
                others.add(name)
        assert holding == CALL_MODELS
        assert others == set()


def _of_which(process: psutil.Process, named: dict[int | None, str]) -> str:
    """The child of `up` that started this one."""
    return next((named[one.pid] for one in process.parents() if one.pid in named), "nobody's")
