"""The `tierline` command: the list of subcommands, their error messages and exit codes.

Exit codes: 0 success, 1 failure, 2 invalid command or input, 130 Ctrl-C. An error is one line on
stderr (several lines if a file has several problems), never a traceback; TIERLINE_DEBUG=1 shows the
traceback. A subcommand's module is imported only when it runs.
"""

import importlib
import os
import sys
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tierline.base.errors import InvalidInput, TierlineError, UsageError
from tierline.cli.shared.options import command_group
from tierline.cli.shared.values import read_plainly, read_values


@dataclass(frozen=True)
class _Entry:
    """A subcommand before its module is imported."""

    module: str
    attribute: str  # the name of a typer.Typer or of a function in the module
    summary: str  # shown by `tierline --help`


ENTRIES = {
    "up": _Entry(
        "tierline.cli.operate.up", "up", "Start everything that is missing here, until Ctrl-C."
    ),
    "doctor": _Entry(
        "tierline.cli.operate.doctor", "doctor", "Find what does not fit together in the database."
    ),
    "features": _Entry(
        "tierline.cli.features.features", "app", "Write, check, apply and show feature files."
    ),
    "jobs": _Entry("tierline.cli.run.jobs", "app", "Submit, follow, list, cancel or retry jobs."),
    "backfill": _Entry(
        "tierline.cli.run.backfill.command",
        "backfill",
        "Run a feature over a CSV or JSONL file or a folder.",
    ),
    "batches": _Entry(
        "tierline.cli.run.batches", "app", "List, show and cancel batches; resume a backfill."
    ),
    "queues": _Entry(
        "tierline.cli.run.queues", "queues", "Show waiting and running jobs in each queue, live."
    ),
    "login": _Entry(
        "tierline.cli.operate.login", "login", "Store the address and the key of a server."
    ),
    "keys": _Entry("tierline.cli.operate.keys", "app", "Create, list, rotate and revoke API keys."),
    "people": _Entry(
        "tierline.cli.operate.people", "app", "List who signed in to the console; sign them out."
    ),
    "accounts": _Entry("tierline.cli.operate.accounts", "app", "Create, change and list accounts."),
    "budgets": _Entry(
        "tierline.cli.operate.budgets", "app", "List, set and remove budgets in USD."
    ),
    "plans": _Entry(
        "tierline.cli.operate.plans", "app", "List and set plans, and put accounts on them."
    ),
    "models": _Entry("tierline.cli.operate.models", "app", "List models, and download local ones."),
    "prices": _Entry(
        "tierline.cli.operate.prices", "app", "List and set your own prices of models."
    ),
    "webhooks": _Entry(
        "tierline.cli.operate.webhooks", "app", "List webhook endpoints and deliveries; resend."
    ),
    "db": _Entry("tierline.cli.operate.db", "app", "Migrate the database to this version."),
    "completion": _Entry(
        "tierline.cli.operate.completion", "completion", "Print a shell's completion script."
    ),
    "status": _Entry(
        "tierline.cli.improve.evidence.status",
        "status",
        "Show a feature's stage and the next step.",
    ),
    "advise": _Entry(
        "tierline.cli.improve.reports.advise", "advise", "Recommend a small or a frontier model."
    ),
    "feedback": _Entry(
        "tierline.cli.improve.evidence.feedback",
        "app",
        "Import labels from a file, or draw a sample.",
    ),
    "dataset": _Entry(
        "tierline.cli.improve.training.dataset",
        "app",
        "Build, review and export a feature's datasets.",
    ),
    "micro": _Entry(
        "tierline.cli.improve.training.micro",
        "app",
        "Train and list the classifier of a micro tier.",
    ),
    "router": _Entry(
        "tierline.cli.improve.training.router",
        "app",
        "Train, list and withdraw routers by complexity.",
    ),
    "finetune": _Entry(
        "tierline.cli.improve.training.finetune", "app", "Fine-tune a model on an exported dataset."
    ),
    "calibrate": _Entry(
        "tierline.cli.improve.evidence.calibrate",
        "app",
        "Find the confidence threshold for an error limit.",
    ),
    "eval": _Entry(
        "tierline.cli.improve.evidence.evaluate",
        "app",
        "Compare a feature's tiers on a dataset's examples.",
    ),
    "promote": _Entry(
        "tierline.cli.improve.evidence.promote",
        "promote",
        "Let a small tier answer first, if it is good enough.",
    ),
    "demote": _Entry(
        "tierline.cli.improve.evidence.promote",
        "demote",
        "Let a feature's last tier answer all jobs again.",
    ),
    "drift": _Entry(
        "tierline.cli.improve.evidence.drift",
        "drift",
        "Show whether a feature's traffic has changed.",
    ),
    "report": _Entry(
        "tierline.cli.improve.reports.report",
        "report",
        "Show the savings and quality of a feature's routing.",
    ),
    "audit": _Entry(
        "tierline.cli.improve.evidence.audit", "audit", "Show which tier each job used, and why."
    ),
    "replay": _Entry(
        "tierline.cli.improve.reports.replay",
        "replay",
        "Compare routing policies on recorded outcomes.",
    ),
    "economics": _Entry(
        "tierline.cli.improve.reports.economics",
        "economics",
        "Show a feature's costs at a given volume.",
    ),
    # a name of release 0.2, which goes with 0.4
    "distil": _Entry(
        "tierline.cli.improve.training.distil",
        "distil",
        "Train a feature's micro tier on a dataset.",
    ),
}

GROUPS = {
    "Run": ("up", "features", "jobs", "backfill", "batches", "queues"),
    "Operate": (
        "login",
        "keys",
        "people",
        "accounts",
        "budgets",
        "plans",
        "models",
        "prices",
        "webhooks",
        "db",
        "doctor",
        "completion",
    ),
    "Improve": (
        "status",
        "advise",
        "feedback",
        "dataset",
        "micro",
        "router",
        "finetune",
        "calibrate",
        "eval",
        "promote",
        "demote",
        "drift",
        "report",
        "audit",
        "replay",
        "economics",
    ),
}
"""The commands by group, as `tierline --help` shows them."""


COMPLETES = "_TIERLINE_COMPLETE"  # set by the scripts of `tierline completion`


class _Lazy(TyperGroup):
    """The root group. It lists the commands without imports, and imports a command to run it."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for parameter in self.params:
            read_plainly(parameter)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return [name for names in GROUPS.values() for name in names]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        entry = ENTRIES.get(cmd_name)
        if entry is None:
            return None
        target = getattr(importlib.import_module(entry.module), entry.attribute)
        if not isinstance(target, typer.Typer):
            single = command_group(entry.summary)
            single.command(cmd_name)(target)
            target = single
        command = typer.main.get_command(target)
        read_values(command)
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in ENTRIES and not name.startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(name, ENTRIES)
            suggestion = f" Did you mean {' or '.join(repr(one) for one in near)}?" if near else ""
            ctx.fail(f"No such command {name!r}.{suggestion}")
        return super().resolve_command(ctx, args)

    def get_help_option(self, ctx: Any) -> Any:
        return read_plainly(super().get_help_option(ctx))

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        width = max(map(len, ENTRIES))
        for group, names in GROUPS.items():
            with formatter.section(group):
                formatter.write_dl([(name.ljust(width), ENTRIES[name].summary) for name in names])

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Names and summaries, without importing the commands."""
        from typer._click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        return [CompletionItem(name, help=ENTRIES[name].summary) for name in names]


app = command_group(
    "Language-model jobs: a small model answers first; if a check fails, a larger one answers.",
    cls=_Lazy,
)


def _show_version(show: bool) -> None:
    if show:
        from importlib.metadata import version

        typer.echo(f"tierline {version('tierline')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[  # noqa: ARG001
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", metavar="NAME", help="Use this profile of the config file: see 'login'."
        ),
    ] = None,
) -> None:
    from tierline.cli.shared.profiles import chosen

    chosen.set(profile)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: the entry point of `tierline` and `python -m tierline`."""
    skip_httpx_command()
    sys.exit(run(arguments))


def skip_httpx_command() -> None:
    """Let httpx leave out its own command line, which imports rich, pygments and click."""
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]


def run(arguments: list[str] | None = None) -> int:
    """Run one command, and return its exit code."""
    _make_streams_forgiving()
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (such as `| head`) closed the pipe. Without this, Python reports it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def home_behind_command(arguments: list[str]) -> list[str]:
    """The arguments with a `--home` before the command moved to the command's own options, unless
    it has one there.
    """
    before, home = list[str](), list[str]()
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "--":
        takes_value = rest[0] in ("--home", "--profile")
        option, rest = rest[: 1 + takes_value], rest[1 + takes_value :]
        if len(option) <= takes_value:
            return arguments  # it says what is missing
        (home if option[0].partition("=")[0] == "--home" else before).extend(option)
    if not rest:
        return arguments
    end = rest.index("--") if "--" in rest else len(rest)
    if any(one.partition("=")[0] == "--home" for one in rest[:end]):
        home = []
    return [*before, *rest[:end], *home, *rest[end:]]


def _invoke(arguments: list[str] | None) -> int:
    if COMPLETES in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
    try:
        given = sys.argv[1:] if arguments is None else arguments
        app(args=home_behind_command(given), prog_name="tierline", standalone_mode=True)
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
        message = " ".join(str(error).split())[:300]
        _say(
            f"tierline: unexpected {type(error).__name__}: {message} "
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
    """Escape characters that the terminal's encoding does not have, instead of failing on them."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
