"""A local model, as `local:` answers to it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.support.waiting import wait_until
from tierline import providers
from tierline.base.settings import settings
from tierline.stack.ports import free_port

KEY = "a-benchmark's"


@contextmanager
def local_model(name: str) -> Iterator[None]:
    """Served by a process of its own until the block ends."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1"
    environment = {**os.environ, "TIERLINE_LOCAL_API_KEY": KEY}
    command = [sys.executable, "-m", "tierline.stack.llama_server", "--alias", name]
    child = subprocess.Popen(
        [*command, "--port", str(port), "--slots", "1", "--context", "4096"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        try:
            headers = {"Authorization": f"Bearer {KEY}"}
            return httpx.get(f"{url}/models", headers=headers, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    os.environ |= {"TIERLINE_LOCAL_URL": url, "TIERLINE_LOCAL_API_KEY": KEY}
    settings.cache_clear()
    providers.close()
    try:
        wait_until(answers, 120, "the model server", 0.1)
        yield
    finally:
        providers.close()
        child.terminate()
        child.wait(30)
