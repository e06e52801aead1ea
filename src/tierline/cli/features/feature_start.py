"""`tierline features init` and `schema`: a file to start from, and its JSON Schema for editors."""

from pathlib import Path
from typing import Annotated

import typer

from tierline.base.errors import UsageError

SCHEMA = "feature.schema.json"  # beside the file, as `features schema` writes it


def init(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The feature's name: small letters, digits, hyphens."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where to write it; by default NAME.yaml here; - for stdout."),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            metavar="KIND",
            help="classify, extract, extract-items, summarise or moderate, with cases.",
        ),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="CSV",
            help="Propose schemas, labels and cases from a CSV: the last column, or the columns "
            "output.FIELD, are the answer.",
        ),
    ] = None,
) -> None:
    """Write a commented feature file to start from. It runs unchanged."""
    from tierline.cli.shared.output import line
    from tierline.features.parse import NAME

    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a feature name: use small letters, digits and hyphens, beginning "
            "with a letter, at most 63"
        )
    path = out or Path(f"{name}.yaml")
    to_stdout = str(path) == "-"
    text = _written(name, f"{name}.yaml" if to_stdout else str(path), template, from_)
    if to_stdout:
        typer.echo(text, nl=False)
        return
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(
            f"{path} exists already: remove it, or give another path with --out"
        ) from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    line(f"wrote {path}")
    line(f"check it: tierline features validate {path}")


def schema() -> None:
    """Print the JSON Schema of feature files, for editors.

    Save it as feature.schema.json beside the files; those of 'features init' name it there.
    """
    import json

    from tierline.features.file_schema import file_schema

    typer.echo(json.dumps(file_schema(), indent=2))


def _written(name: str, file: str, template: str | None, from_: Path | None) -> str:
    from tierline.cli.features import templates
    from tierline.cli.features.feature_file import new_feature
    from tierline.cli.features.feature_reading import read_text
    from tierline.cli.features.proposal import proposed

    if template is not None and from_ is not None:
        raise UsageError("--template and --from each make a file: say one of them")
    if from_ is not None:
        return proposed(read_text(from_), str(from_), name, file, SCHEMA)
    if template is None:
        return new_feature(name, file)
    if template not in templates.NAMES:
        raise UsageError(f"--template: {template!r} is none of {', '.join(templates.NAMES)}")
    return templates.from_template(template, name, file, SCHEMA)
