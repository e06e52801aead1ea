"""`tierline up`: start everything that is missing on this machine, run the product, and stay.

It prints the addresses once everything answers. Other messages go to stderr or to DIR/log.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tierline.stack.running import Addresses


def up(
    home: Annotated[
        Path | None,
        typer.Option(
            envvar="TIERLINE_HOME",
            help="The folder for data, logs and keys.  [default: ~/.local/share/tierline]",
            show_default=False,
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="The API's port; 0 takes a free one.")] = 8000,
    flower_port: Annotated[int, typer.Option(help="Flower's port; 0 takes a free one.")] = 5555,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the addresses as one line of JSON.")
    ] = False,
    no_flower: Annotated[bool, typer.Option("--no-flower", help="Run without Flower.")] = False,
    procfile: Annotated[
        Path | None, typer.Option(hidden=True, help="Another list of processes.")
    ] = None,
) -> None:
    """Start everything that is missing on this machine, and run until Ctrl-C.

    It starts PostgreSQL unless DATABASE_URL is set, the broker unless REDIS_URL is set, the local
    model, and the product's processes. A process that dies is restarted. The first Ctrl-C stops
    everything in order, a second one at once.
    """
    from tierline.base.settings import settings
    from tierline.stack.home import default_home
    from tierline.stack.processes.procfile import default_path
    from tierline.stack.up import Options, Up

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    options = Options(
        home=home or default_home(),
        port=port,
        flower_port=flower_port,
        with_flower=not no_flower,
        procfile=procfile or default_path(),
        grace_s=settings().grace_s,
    )
    run = Up(options, say)

    def show(addresses: "Addresses") -> None:
        if run.first_admin_key is not None:
            out = sys.stderr if as_json else sys.stdout
            # A secret has a line of its own: where a terminal wraps it, it cannot be copied.
            print(f"first admin key (shown only now; keep it):\n{run.first_admin_key}", file=out)
        print(addresses.to_json() if as_json else in_words(addresses, options.home), flush=True)

    raise typer.Exit(run.run(show))


def in_words(addresses: "Addresses", home: Path) -> str:
    """The short list of addresses for people."""
    lines = [
        "tierline is up.",
        f"  API      {addresses.api}  (docs at {addresses.api}/docs)",
        f"  console  {addresses.api}/console  (sign in with the key below)",
    ]
    if addresses.flower is not None:
        lines += [
            f"  Flower   {addresses.flower}  (user {addresses.flower_user})",
            f"  password {addresses.flower_password}",
        ]
    lines += [
        f"  key      {home / 'run' / 'api_key'}  (a file)",
        f"  logs     {home / 'log'}",
        "Ctrl-C stops everything.",
    ]
    return "\n".join(lines)
