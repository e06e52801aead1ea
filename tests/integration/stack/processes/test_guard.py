"""The guard as a program: what becomes of the one that it turns into."""

import os
import signal
import subprocess
import sys

from tests.support.waiting import DEADLINE_S
from tierline.stack.processes.child import GUARD, guarded
from tierline.stack.processes.guard import CANNOT


def test_the_program_takes_the_place_of_the_guard() -> None:
    with subprocess.Popen(
        guarded([sys.executable, "-c", "import os; print(os.getpid())"], signal.SIGKILL),
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert int(process.stdout.read()) == process.pid
    assert process.returncode == 0


def test_a_program_whose_parent_is_gone_already_does_not_start() -> None:
    argv = guarded([sys.executable, "-c", "print('started')"], signal.SIGKILL)
    argv[argv.index(str(os.getpid()))] = str(os.getpid() + 1)
    done = subprocess.run(argv, capture_output=True, check=False, timeout=DEADLINE_S)
    assert (done.returncode, done.stdout) == (0, b"")


def test_a_program_that_is_not_there_is_said() -> None:
    done = subprocess.run(
        guarded(["/no/such/program"], signal.SIGKILL),
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert done.returncode == CANNOT
    assert done.stderr.startswith("cannot start /no/such/program: ")
    assert str(GUARD) not in done.stderr


def test_without_a_death_signal_the_program_ends_when_the_pipe_closes() -> None:
    watched, held = os.pipe()
    with subprocess.Popen(
        guarded(
            [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"],
            signal.SIGTERM,
            watch_fd=watched,
        ),
        stdout=subprocess.PIPE,
        pass_fds=[watched],
    ) as process:
        os.close(watched)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        os.close(held)
        assert process.wait(DEADLINE_S) == 128 + signal.SIGTERM
