"""What every test process does before the first import of a test, and options of our own.

Linear algebra stays on one thread: several test processes that each start a thread a core would
take the cores from each other. Hypothesis sets no time limit: a busy machine is not a failure. It
tries 30 examples of a property in the suite, and 1000 in `make nightly`.
Ctrl-C reaches the processes that the tests start, also where a shell started the tests in the
background and told them to ignore it.
The garbage collector is off until the tests begin, and never looks at what was imported and
collected before them: nothing of it is garbage.
Temporary folders are in memory where the system has room for that, because the tests make and
remove hundreds of thousands of small files. PYTEST_DEBUG_TEMPROOT names another place.
Compiled modules are kept also where the environment says not to: the suite starts hundreds of
processes, and each would compile the product again.
"""

import gc
import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.processes.prepared_home import make_home  # noqa: F401 - a fixture of any test
from tests.support.processor_time import ProcessorTime

gc.disable()
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

MEMORY = Path("/dev/shm")
ROOM = 8 << 30  # bytes; a whole run with four workers leaves 3 GB of folders


def has_room(folder: Path) -> bool:
    """Whether the tests' folders fit in it, and programs in it may be run."""
    try:
        volume = os.statvfs(folder)
    except OSError:
        return False
    return volume.f_bavail * volume.f_frsize >= ROOM and not volume.f_flag & os.ST_NOEXEC


if has_room(MEMORY):
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

USUAL = settings.get_profile(settings.get_current_profile_name())
settings.register_profile("suite", USUAL, deadline=None, max_examples=30)
settings.register_profile("nightly", USUAL, deadline=None, max_examples=1000)
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--processor",
        type=int,
        default=0,
        metavar="N",
        help="show the N files and tests that take most processor time",
    )
    parser.addoption(
        "--screenshots", metavar="DIR", help="keep a picture of each page of the console there"
    )


LONG = (
    *("tests/faults/", "tests/system/", "tests/integration/api/document/test_schemathesis.py"),
    *("tests/unit/checks/test_hostile_text.py", "tests/unit/drift/"),
    *("tests/unit/checks/test_work.py", "tests/unit/cli/improve/reports/test_replay.py"),
)
"""Files whose tests take longest. They begin first, so that no process has one left at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))  # stable: else as collected


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    show = config.getoption("processor")
    if show:
        config.pluginmanager.register(ProcessorTime(show))
