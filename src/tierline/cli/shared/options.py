"""Common to all commands: how a group of commands is made, and shared options."""

from pathlib import Path
from typing import Annotated, TypeAlias

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


def command_group(summary: str, cls: type[TyperGroup] | None = None) -> typer.Typer:
    """A Typer with the common settings: plain help, the product's error lines."""
    return typer.Typer(
        cls=cls,
        help=summary,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # so that help is the same in a pipe, a log and 40 columns
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
