"""The commands of the Compose file, started without a container engine.

Each is started with --help or without its settings, where it must say what it lacks. The broker's
runs with the embedded server's binary.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from ruamel.yaml import YAML

from tests.support.waiting import DEADLINE_S, wait_until
from tierline.stack.embedded import valkey
from tierline.stack.ports import free_port

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())[
    "services"
]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
PASSWORD = "sentinel-of-a-password_1"


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_command_of_the_compose_file_exists_and_starts(name: str) -> None:
    words = OURS[name]["command"]
    program = (
        [sys.executable] if words[0] == "python" else [str(Path(sys.executable).parent / words[0])]
    )
    bare = {
        key: value
        for key, value in os.environ.items()
        if key not in {"DATABASE_URL", "REDIS_URL"} and not key.startswith("TIERLINE_")
    }
    takes_no_words = (["workers.dispatcher"], ["workers.trainer"], ["workers.flower"])
    help_word = [] if words[2:] in takes_no_words else ["--help"]
    started = subprocess.run(
        [*program, *words[1:], *help_word],
        cwd=ROOT,
        env=bare,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    output = started.stdout + started.stderr
    assert "Traceback" not in output, output
    if help_word:
        assert started.returncode == 0, output
    else:
        assert started.returncode == 2, output
        assert "is not set" in output or "PASSWORD" in output


def test_the_brokers_command_asks_for_its_password_and_shows_it_nowhere(tmp_path: Path) -> None:
    # Run as the container would run it, with the embedded server's binary and a port of its own.
    port = free_port()
    shell, option, script = SERVICES["valkey"]["command"]
    assert (shell, option) == ("sh", "-c")
    script = script.replace("$$", "$").replace(
        "appendonly yes\n", f"appendonly yes\nport {port}\nbind 127.0.0.1\n"
    )
    server = subprocess.Popen(
        [shell, option, script],
        cwd=tmp_path,
        env={"PATH": f"{Path(valkey.binary()).parent}:/usr/bin:/bin", "REDISCLI_AUTH": PASSWORD},
        stdout=subprocess.DEVNULL,
    )
    try:
        with redis.Redis(port=port, password=PASSWORD, socket_timeout=5) as known:
            wait_until(lambda: pings(known), DEADLINE_S, "the broker to answer")
            assert known.config_get("appendonly") == {"appendonly": "yes"}
        with (
            redis.Redis(port=port, socket_timeout=5) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
        words = psutil.Process(server.pid).cmdline()
        assert "valkey-server" in words[0]
        assert PASSWORD not in " ".join(words)
    finally:
        server.kill()
        server.wait()


def pings(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
