"""`tierline completion`: prints the script that completes commands and options in a shell."""

from typing import Annotated, Literal

import typer

Shell = Literal["bash", "zsh", "fish"]


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="Your shell.")],
) -> None:
    """Print the script that completes commands and options.

    bash: tierline completion bash > ~/.local/share/bash-completion/completions/tierline

    zsh: tierline completion zsh > a folder of your $fpath, as _tierline

    fish: tierline completion fish > ~/.config/fish/completions/tierline.fish
    """
    from typer._completion_shared import get_completion_script

    from tierline.cli.main import COMPLETES

    typer.echo(get_completion_script(prog_name="tierline", complete_var=COMPLETES, shell=shell))
