"""`tierline features examples`: the example features that come with the product."""

from pathlib import Path
from typing import Annotated

import typer

import tierline
from tierline.base.errors import UsageError
from tierline.cli.shared.options import Json


def examples_folder() -> Path:
    """Where the files are: beside the source, or inside the installed package."""
    package = Path(tierline.__file__).parent
    beside = package.parents[1] / "examples" / "features"
    return beside if beside.is_dir() else package / "examples"


def examples(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="The example to write; by default they are listed."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where to write it; by default NAME.yaml here; - for stdout."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the example features, or write one to a file. No server is needed."""
    from tierline.cli.features.feature_reading import read_feature
    from tierline.cli.shared.output import Col, line, print_json, print_table

    files = {path.stem: path for path in sorted(examples_folder().glob("*.yaml"))}
    if name is None:
        rows = [(each, read_feature(path).description) for each, path in files.items()]
        if as_json:
            print_json({"data": [{"name": each, "description": words} for each, words in rows]})
        else:
            print_table([Col("NAME", wrap=False), Col("DESCRIPTION")], rows, empty="no examples")
        return
    if name not in files:
        raise UsageError(f"there is no example {name!r}: choose from {', '.join(files)}")
    text = files[name].read_text(encoding="utf-8")
    target = out or Path(f"{name}.yaml")
    if str(target) == "-":
        typer.echo(text, nl=False)
        return
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{target} exists already: give another path with --out") from None
    except OSError as error:
        raise UsageError(f"{target}: {error.strerror or error}") from None
    if as_json:
        print_json({"name": name, "file": str(target)})
    else:
        line(f"wrote {target}")
        line(f"apply it: tierline features apply {target}")
