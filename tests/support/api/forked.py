"""API processes that are forked from one that has imported the product.

Each is a process of its own, as `python -m api` is, with an environment and a log of its own. Its
imports, 1.3 s of processor time, are those of the first one in a test process. How the API starts
by itself is the subject of api/health and of the system tests.
"""

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from tests.support.waiting import DEADLINE_S, wait_until
from tierline.stack.ports import free_port

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["api.__main__"])


@contextlib.contextmanager
def forked_api(environment: Mapping[str, str], log: Path) -> Iterator[str]:
    """The URL of an API process until the block ends. It has no other environment than this."""
    port = free_port()
    process = _FORKS.Process(target=_serve, args=(dict(environment), log, port), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, trust_env=False, verify=False) as http:

        def answers() -> bool:
            assert process.is_alive(), log.read_text()
            try:
                return http.get("/healthz").status_code == 200
            except httpx.TransportError:
                return False

        try:
            wait_until(answers, DEADLINE_S, "the API to answer")
            yield url
        finally:
            process.terminate()
            process.join(DEADLINE_S)


def _serve(environment: dict[str, str], log: Path, port: int) -> None:
    os.environ.clear()
    os.environ.update(environment)
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(sink, number)
    from api.__main__ import main

    sys.argv[1:] = ["--port", str(port)]
    sys.exit(main())
