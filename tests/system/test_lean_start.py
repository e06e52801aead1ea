"""What a server process does without while it starts, and has again once it works."""

import os
import subprocess
import sys
from platform import libc_ver

import pytest

from tests.support.waiting import DEADLINE_S
from tierline.base import lean_start

NOWHERE = {"REDIS_URL": "redis://127.0.0.1:1/0"}  # what importing the worker must know

SEEN = "import gc, sys; print(gc.isenabled(), sys.modules.get('rich', 'untouched'))"


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        env=os.environ | NOWHERE,
    ).stdout.strip()


@pytest.mark.parametrize("package", ["api", "workers"])
def test_only_a_process_that_python_m_starts_is_changed(package: str) -> None:
    assert run(f"import {package}; {SEEN}") == "True untouched"
    assert run(f"import sys; sys.argv[0] = '-m'; import {package}; {SEEN}") == "False None"


def test_all_is_there_again_once_it_works_and_what_was_imported_is_left_alone() -> None:
    seen = run(
        "import gc, sys; sys.argv[0] = '-m'; import workers; from tierline.base import lean_start;"
        "lean_start.finish(); import rich.console, cel;"
        "print(gc.isenabled(), gc.get_freeze_count() > 1000)"
    )
    assert seen == "True True"


NEEDLESS = {
    "workers.dispatcher": "httpx ruamel.yaml jsonschema_rs tierline.checks tierline.providers",
    "workers.flower": "httpx ruamel.yaml psycopg pydantic tierline.services workers.tasks",
    "workers.__main__": "ruamel.yaml fastapi tierline.features.parse",
    "api.app": "genai_prices",
    "workers.tasks": "genai_prices workers.maintenance tierline.services.upkeep.sweep",
    "tierline.stack.up": "ruamel.yaml httpx sqlalchemy alembic celery tierline.checks",
}


@pytest.mark.parametrize("process", NEEDLESS)
def test_no_process_imports_at_its_start_what_it_does_not_use(process: str) -> None:
    seen = run(f"import sys, {process}; print(*sys.modules)").split()
    assert set(NEEDLESS[process].split()).isdisjoint(seen)


HEAPS = """
import ctypes, threading
together = threading.Barrier(12)
def allocate():
    together.wait(30)
    kept = [bytes(5_000) for _ in range(100)]
    together.wait(30)
threads = [threading.Thread(target=allocate) for _ in range(12)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


@pytest.mark.skipif(libc_ver()[0] != "glibc", reason="only glibc keeps heaps by thread")
def test_the_threads_of_a_server_process_share_two_heaps() -> None:
    assert run(f"import workers; {HEAPS}").count("<heap nr") > lean_start.ARENAS
    lean = run(f"import sys; sys.argv[0] = '-m'; import workers; {HEAPS}")
    assert lean.count("<heap nr") == lean_start.ARENAS
