"""Flags of release 0.2 that are commands now, such as `tierline eval --list`. They go with 0.4."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tierline.base.errors import UsageError
from tierline.cli.shared.options import replaced


@dataclass(frozen=True)
class CalibrateFlags:
    """The old flags of `tierline calibrate`."""

    listed: bool
    withdraw: int | None
    reason: str | None
    follow: int | None
    cancel: int | None

    @property
    def given(self) -> int:
        """How many flags are given."""
        return self.listed + sum(
            one is not None for one in (self.withdraw, self.follow, self.cancel)
        )


class CalibrateCommands(NamedTuple):
    """The commands that replace the flags of `tierline calibrate`."""

    list_: Callable[..., None]
    follow: Callable[..., None]
    cancel: Callable[..., None]
    withdraw: Callable[..., None]


def run_calibrate_flag(
    commands: CalibrateCommands,
    feature: str,
    flags: CalibrateFlags,
    max_error: float | None,
    home: Path | None,
    *,
    as_json: bool,
) -> None:
    """Run the command that replaces the given flag, and name it on stderr. Raises UsageError."""
    if flags.given + (max_error is not None) > 1:
        raise UsageError(
            "give only one of --list, --withdraw, --follow, --cancel and --max-error; the first "
            "four are commands now: see 'tierline calibrate --help'"
        )
    if flags.listed:
        replaced("calibrate --list", f"tierline calibrate list {feature}")
        commands.list_(feature, home, as_json)
    elif flags.follow is not None:
        replaced("calibrate --follow", f"tierline calibrate follow {feature} {flags.follow}")
        commands.follow(feature, flags.follow, home, as_json)
    elif flags.cancel is not None:
        replaced("calibrate --cancel", f"tierline calibrate cancel {feature} {flags.cancel}")
        commands.cancel(feature, flags.cancel, home, as_json=False)
    elif flags.withdraw is not None:
        if not flags.reason:
            raise UsageError("--withdraw needs a reason, which is recorded: --reason TEXT")
        new = f"tierline calibrate withdraw {feature} {flags.withdraw} --reason TEXT"
        replaced("calibrate --withdraw", new)
        commands.withdraw(feature, flags.withdraw, flags.reason, home, as_json)


@dataclass(frozen=True)
class EvalFlags:
    """The old flags of `tierline eval`."""

    show: int | None
    follow: int | None
    listed: bool
    cancel: int | None

    @property
    def given(self) -> int:
        """How many flags are given."""
        return self.listed + sum(one is not None for one in (self.show, self.follow, self.cancel))


class EvalCommands(NamedTuple):
    """The commands that replace the flags of `tierline eval`."""

    list_: Callable[..., None]
    follow: Callable[..., None]
    cancel: Callable[..., None]
    show: Callable[..., None]


def run_eval_flag(
    commands: EvalCommands,
    feature: str,
    flags: EvalFlags,
    fail_under: float | None,
    junit: Path | None,
    png: Path | None,
    timeout: float | None,
    home: Path | None,
    *,
    as_json: bool,
) -> None:
    """Run the command that replaces the given flag, and name it on stderr. Raises UsageError."""
    if flags.given > 1:
        raise UsageError("give only one of --show, --follow, --list and --cancel")
    if flags.listed:
        replaced("eval --list", f"tierline eval list {feature}")
        commands.list_(feature, home, as_json)
    elif flags.cancel is not None:
        replaced("eval --cancel", f"tierline eval cancel {feature} {flags.cancel}")
        commands.cancel(feature, flags.cancel, home, as_json=False)
    elif flags.show is not None:
        replaced("eval --show", f"tierline eval show {feature} {flags.show}")
        commands.show(feature, flags.show, fail_under, junit, png, home, as_json)
    elif flags.follow is not None:
        replaced("eval --follow", f"tierline eval follow {feature} {flags.follow}")
        commands.follow(feature, flags.follow, fail_under, junit, png, timeout, home, as_json)
