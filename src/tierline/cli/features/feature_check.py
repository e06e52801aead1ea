"""`tierline features check`: what a file's checks say of one answer. No server is needed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.errors import InvalidInput, Problem
from tierline.cli.shared.options import Json

if TYPE_CHECKING:
    from tierline.base.json_text import JSON


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The feature file.")],
    input_: Annotated[
        str, typer.Option("--input", metavar="JSON", help="The job's input; - for stdin.")
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", metavar="TEXT", help="The answer, as a model would write it: usually JSON."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Show what each check of a file says of one answer.

    The schema comes first, then the file's checks. Exit code 1 if one does not pass. The operator's
    own checks (custom) are made by workers: see them with 'features try'.
    """
    from tierline.checks import CheckContext, RuleBroken, input_faults, marks
    from tierline.cli.features.feature_reading import read_feature
    from tierline.cli.run.jobs import read_json_option
    from tierline.cli.shared.output import line, print_json

    feature = read_feature(file)
    job_input = read_json_option(input_, "--input")
    faults = input_faults(feature, job_input)
    if faults:
        raise InvalidInput([Problem(f"--input does not fit the feature: {one}") for one in faults])
    broken: str | None = None
    results: list[tuple[str, str | None]] = []
    try:
        results = marks(feature, job_input, output, CheckContext(datetime.now(UTC)))
    except RuleBroken as error:
        broken = error.message
    shown: list[JSON] = [
        {"check": name, "passed": fault is None, "reason": fault} for name, fault in results
    ]
    passed = broken is None and all(fault is None for _, fault in results)
    if as_json:
        print_json({"passed": passed, "checks": shown, "error": broken})
    else:
        for name, fault in results:
            line(f"{name}: {fault or 'passed'}")
        if broken is not None:
            line(broken)
    raise typer.Exit(0 if passed else 1)
