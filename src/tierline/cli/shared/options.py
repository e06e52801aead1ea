"""What every command shares: how a group of commands is made, and options of one meaning."""

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
        help="Ask the 'tierline up' that runs on this home, whatever TIERLINE_URL says.",
    ),
]


def command_group(summary: str, cls: type[TyperGroup] | None = None) -> typer.Typer:
    """A Typer with the manners that all of ours share: plain help, our own error lines."""
    return typer.Typer(
        cls=cls,
        help=summary,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # help that reads the same in a pipe, a log and 40 columns
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
