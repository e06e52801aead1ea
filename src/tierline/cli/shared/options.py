"""Common to all commands: how a group of commands is made, and shared options."""

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from typer.core import TyperGroup

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

Files: TypeAlias = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Feature files, YAML.")
]

Home: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIR",
        help="Use the 'tierline up' that runs on this home, instead of TIERLINE_URL.",
    ),
]


class RunsByDefault(TyperGroup):
    """A group whose command `run` also runs without its name: `tierline eval FEATURE`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        named = args if args[0] in self.commands else ["run", *args]
        return super().resolve_command(ctx, named)


def replaced(old: str, new: str) -> None:
    """Say on stderr that a flag or a command has a new name. The old one goes with 0.4."""
    from tierline.cli.shared.output import note

    note(f"{old} is now '{new}'; the old form goes with release 0.4")


def command_group(summary: str, cls: type[TyperGroup] | None = None) -> typer.Typer:
    """A Typer with the common settings: plain help, the product's error lines."""
    return typer.Typer(
        cls=cls,
        help=summary,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # so that help is the same in a pipe, a log and 40 columns
        pretty_exceptions_enable=False,
        context_settings={
            "help_option_names": ["-h", "--help"],
            # options of the command that runs by default come first in some command lines
            "ignore_unknown_options": cls is RunsByDefault,
        },
    )
