"""Replaces itself with another program, bound to the life of the process that started it.

It runs as a script, `python -I -S guard.py PARENT SIGNAL WATCH DROP ARGV…`, before the program: it
drops root if the program refuses root (as PostgreSQL does), asks the kernel for SIGNAL at the death
of PARENT, and then executes the program in its place, with the same pid. WATCH is the descriptor of
a pipe, or "-"; DROP is how to drop root: no, auto, userns or setuid.

It runs once per child, so it imports little, and nothing of tierline: with argparse, subprocess and
pathlib it took 50 ms of each start, without them 20.

If the kernel has no parent-death signal (macOS), it stays, watches a pipe that only the parent
holds open, and ends its program when the pipe closes.
"""

import ctypes
import os
import sys

TYPE_CHECKING = False  # as in typing, which takes 5 ms to import
if TYPE_CHECKING:
    import pwd
    from types import FrameType
    from typing import NoReturn

CANNOT = 126  # exit code: the program exists but cannot be started this way

# <linux/prctl.h>, <linux/sched.h>, <linux/capability.h>
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CLONE_NEWUSER = 0x10000000
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


class CannotDrop(Exception):
    pass


def main(argv: "list[str]") -> "NoReturn":
    parent, death_signal, watch, drop, *program = argv
    try:
        if drop != "no" and os.geteuid() == 0:
            drop_root(drop)
        if watch != "-":
            stay_and_watch(int(watch), int(death_signal), program)
        # After the last change of credentials, because each change clears the setting.
        _prctl(PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != int(parent):
            raise SystemExit(0)  # the parent died before the setting took effect
        os.execvp(program[0], program)
    except (CannotDrop, OSError) as error:
        print(f"cannot start {program[0]}: {error}", file=sys.stderr)
        raise SystemExit(CANNOT) from None


def drop_root(mode: str) -> None:
    """Drop root, but keep root's access to files.

    It tries a user namespace of one user first: files stay root's, and nothing on the machine
    changes. Container runtimes often forbid it. There it uses another user with CAP_DAC_OVERRIDE,
    so that the binaries and the home may be in folders that this user could not enter.
    """
    user = unprivileged_user()
    namespace_error: OSError | None = None
    if mode in ("auto", "userns"):
        try:
            return _enter_user_namespace(user.pw_uid, user.pw_gid)
        except OSError as error:
            namespace_error = error
            if mode == "userns":
                raise CannotDrop(f"no user namespace: {error}") from None
    try:
        _become(user.pw_uid, user.pw_gid)
    except OSError as error:
        raise CannotDrop(
            "PostgreSQL does not run as root, and here root can neither make a user namespace "
            f"({namespace_error}) nor become {user.pw_name} with CAP_DAC_OVERRIDE ({error}). "
            "Run as a normal user, or set DATABASE_URL to a server of your own."
        ) from None


def unprivileged_user() -> "pwd.struct_passwd":
    """The user to become instead of root. initdb requires a user with a name."""
    import pwd

    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        if user.pw_uid > 0:
            return user
    for user in pwd.getpwall():
        if user.pw_uid > 0:
            return user
    raise CannotDrop("PostgreSQL does not run as root, and no other user is known on this machine")


def _enter_user_namespace(uid: int, gid: int) -> None:
    _checked(_libc().unshare(CLONE_NEWUSER), "unshare")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid} 0 1")
    _write("/proc/self/gid_map", f"{gid} 0 1")


def _become(uid: int, gid: int) -> None:
    _prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    bit = 1 << CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    # two records of effective, permitted, inheritable; the second is for capabilities above 31
    capabilities = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    _checked(_libc().capset(header, capabilities), "capset")
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE)


def stay_and_watch(watch_fd: int, death_signal: int, program: "list[str]") -> "NoReturn":
    """Run the program as a child, forward signals to it, and end it when `watch_fd` closes."""
    import select
    import signal
    import subprocess

    child = subprocess.Popen(program, close_fds=True)

    def forward(number: int, _frame: "FrameType | None") -> None:
        child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, forward)
    signalled = False
    while child.poll() is None:
        ready, _, _ = select.select([] if signalled else [watch_fd], [], [], 0.2)
        if ready and not os.read(watch_fd, 1):
            child.send_signal(death_signal)
            signalled = True
    code = child.returncode
    raise SystemExit(code if code >= 0 else 128 - code)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, first: int, second: int = 0) -> None:
    result = _libc().prctl(
        option, ctypes.c_ulong(first), ctypes.c_ulong(second), ctypes.c_ulong(0), ctypes.c_ulong(0)
    )
    _checked(result, f"prctl {option}")


def _checked(result: int, call: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{call}: {os.strerror(code)}")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123 - pathlib takes 7 ms to import
        file.write(text)


if __name__ == "__main__":
    main(sys.argv[1:])
