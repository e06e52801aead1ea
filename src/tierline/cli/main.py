"""The `tierline` command: which subcommands there are, and how every one of them ends.

Exit codes: 0 done, 1 it could not be done, 2 the command was not right as written, 130 Ctrl-C.
Whatever goes wrong is one line on stderr (several when a file has several problems), never a
traceback; TIERLINE_DEBUG=1 shows it. A subcommand's module is imported when it is run.
"""

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tierline.base.digits import number, whole
from tierline.base.errors import InvalidInput, TierlineError, UsageError
from tierline.cli.shared.options import command_group


@dataclass(frozen=True)
class _Entry:
    """A subcommand before its module is imported."""

    module: str
    attribute: str  # a typer.Typer there, or a function
    summary: str  # as `tierline --help` shows it


ENTRIES = {
    "up": _Entry(
        "tierline.cli.operate.up",
        "up",
        "Start all that is missing on this machine, and stay until Ctrl-C.",
    ),
    "features": _Entry(
        "tierline.cli.features.features", "app", "Write, check, apply and show feature files."
    ),
    "jobs": _Entry(
        "tierline.cli.run.jobs",
        "app",
        "Submit jobs, follow them, cancel or retry them, remove their content.",
    ),
    "backfill": _Entry(
        "tierline.cli.run.backfill.command",
        "backfill",
        "Run a feature over a CSV or JSONL file or a folder.",
    ),
    "queues": _Entry(
        "tierline.cli.run.queues", "queues", "What waits and runs in each queue, live."
    ),
    "keys": _Entry("tierline.cli.operate.keys", "app", "Create, list and revoke API keys."),
    "accounts": _Entry("tierline.cli.operate.accounts", "app", "Create, change and list accounts."),
    "budgets": _Entry(
        "tierline.cli.operate.budgets", "app", "List, set and remove budgets in USD."
    ),
    "plans": _Entry(
        "tierline.cli.operate.plans", "app", "List and set plans; put accounts on them."
    ),
    "models": _Entry("tierline.cli.operate.models", "app", "List models, and download local ones."),
    "prices": _Entry(
        "tierline.cli.operate.prices", "app", "List and set your own prices of models."
    ),
    "audit": _Entry(
        "tierline.cli.improve.evidence.audit", "audit", "Which tier was asked, and why, job by job."
    ),
    "calibrate": _Entry(
        "tierline.cli.improve.evidence.calibrate",
        "calibrate",
        "Find the threshold that keeps a promise, on a feature's own outcomes.",
    ),
    "feedback": _Entry(
        "tierline.cli.improve.evidence.feedback",
        "app",
        "Say what is right: labels of jobs, from a file.",
    ),
    "router": _Entry(
        "tierline.cli.improve.training.router",
        "app",
        "Train, list and withdraw routers by complexity.",
    ),
    "micro": _Entry(
        "tierline.cli.improve.training.micro",
        "app",
        "Train, list and withdraw the classifier of a micro tier.",
    ),
    "dataset": _Entry(
        "tierline.cli.improve.training.dataset",
        "app",
        "Build a feature's datasets, and look through them.",
    ),
    "distil": _Entry(
        "tierline.cli.improve.training.distil",
        "distil",
        "Train a feature's micro tier on a dataset.",
    ),
    "finetune": _Entry(
        "tierline.cli.improve.training.finetune",
        "app",
        "Fine-tune a model on an exported dataset.",
    ),
    "eval": _Entry(
        "tierline.cli.improve.evidence.evaluate",
        "evaluate",
        "Compare a feature's tiers on a dataset's examples.",
    ),
    "promote": _Entry(
        "tierline.cli.improve.evidence.promote",
        "promote",
        "Let a small tier answer by what an evaluation showed.",
    ),
    "demote": _Entry(
        "tierline.cli.improve.evidence.promote",
        "demote",
        "Let a feature's last tier answer all again.",
    ),
    "advise": _Entry(
        "tierline.cli.improve.reports.advise",
        "advise",
        "Whether a small model is worth trying, and what next.",
    ),
    "economics": _Entry(
        "tierline.cli.improve.reports.economics",
        "economics",
        "What a feature costs at a volume, way by way.",
    ),
    "status": _Entry(
        "tierline.cli.improve.evidence.status",
        "status",
        "Where a feature is on its road, and what comes next.",
    ),
    "drift": _Entry(
        "tierline.cli.improve.evidence.drift",
        "drift",
        "Whether a feature's traffic still is what it was.",
    ),
    "report": _Entry(
        "tierline.cli.improve.reports.report",
        "report",
        "What a feature's routing saved, and what it kept.",
    ),
    "replay": _Entry(
        "tierline.cli.improve.reports.replay",
        "replay",
        "What routing would have cost and kept, on recorded outcomes.",
    ),
    "db": _Entry("tierline.cli.operate.db", "app", "Migrate the database to this version."),
}


class _Lazy(TyperGroup):
    """The root's group: names and summaries without imports, the real command when it is run."""

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(ENTRIES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        entry = ENTRIES.get(cmd_name)
        if entry is None:
            return None
        if self._listing:
            stub = typer.Typer(add_completion=False, rich_markup_mode=None)
            stub.command(cmd_name, short_help=entry.summary)(lambda: None)
            return typer.main.get_command(stub)
        found = getattr(importlib.import_module(entry.module), entry.attribute)
        if not isinstance(found, typer.Typer):
            single = command_group(entry.summary)
            single.command(cmd_name)(found)
            found = single
        command = typer.main.get_command(found)
        _read_ascii_digits(command)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False


def _read_ascii_digits(command: Any) -> None:
    """Let every number of the command's options be ASCII digits: Typer reads `1_000` too."""
    for inner in getattr(command, "commands", {}).values():
        _read_ascii_digits(inner)
    for parameter in command.params:
        parameter.process_value = _in_ascii(parameter.process_value, parameter)


def _in_ascii(read: Callable[[Any, Any], Any], parameter: Any) -> Callable[[Any, Any], Any]:
    def process_value(ctx: Any, value: Any) -> Any:
        found = read(ctx, value)
        if isinstance(value, str) and isinstance(found, int | float) and type(found) is not bool:
            try:
                return whole(value) if isinstance(found, int) else number(value)
            except ValueError as error:
                raise typer.BadParameter(str(error), ctx=ctx, param=parameter) from None
        return found

    return process_value


app = command_group(
    "Language-model jobs: a small model answers first, what fails a check gets deeper analysis.",
    cls=_Lazy,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"tierline {version('tierline')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit; what `tierline` and `python -m tierline` start."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code."""
    _make_streams_forgiving()
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted. Python would complain again at its own exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _invoke(arguments: list[str] | None) -> int:
    try:
        app(args=arguments, prog_name="tierline", standalone_mode=True)
    except SystemExit as end:
        return _exit_code(end)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        raise
    except InvalidInput as error:
        if os.environ.get("TIERLINE_DEBUG"):
            raise
        for problem in error.problems:
            _say(str(problem) if problem.source else f"tierline: {problem}")
        if error.left_out:
            _say(f"… and {error.left_out:,} more")
        return 2
    except TierlineError as error:
        if os.environ.get("TIERLINE_DEBUG"):
            raise
        _say(f"tierline: {error.message}")
        return 2 if isinstance(error, UsageError) else 1
    except Exception as error:
        if os.environ.get("TIERLINE_DEBUG"):
            raise
        what = " ".join(str(error).split())[:300]
        _say(
            f"tierline: unexpected {type(error).__name__}: {what} "
            "(set TIERLINE_DEBUG=1 to see where)"
        )
        return 1
    return 0


def _exit_code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    _say(str(end.code))
    return 1


def _say(line: str) -> None:
    from tierline.cli.shared.output import plain

    sys.stdout.flush()
    sys.stderr.write(plain(line) + "\n")
    sys.stderr.flush()


def _make_streams_forgiving() -> None:
    """A terminal that cannot show a character shows a stand-in; the command does not die of it."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
