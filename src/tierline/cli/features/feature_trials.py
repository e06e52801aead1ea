"""`tierline features test` and `try`: run a file on the real queues and models, without applying
it.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.errors import FeatureError, Problem, UsageError
from tierline.cli.features.feature_reading import read_feature, read_text
from tierline.cli.shared.options import Files, Home, Json

if TYPE_CHECKING:
    from tierline.cli.features.case_runs import FileRun
    from tierline.cli.shared.client import Client
    from tierline.features import Feature

CASES_S = 600.0  # for all cases of a file: some dozens on a small model on two cores

Tier = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Ask only this tier; by default the job follows its routing."
    ),
]


def run(
    files: Files,
    tier: Tier = None,
    timeout: Annotated[
        float, typer.Option(metavar="S", min=1, help="Time limit for all cases of a file.")
    ] = CASES_S,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Run the cases of feature files on the queues, without applying them.

    Exit code 1 if a case fails. Needs a key with the scope operator, whose account pays.
    """
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import print_json

    with connect(home) as api:
        runs = run_files(api, files, tier, timeout, as_json)
    if as_json:
        print_json({"data": [run.to_dict() for run in runs]})
    if any(run.failed for run in runs):
        raise typer.Exit(1)


def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A feature file, YAML.")],
    input_: Annotated[
        str,
        typer.Option(
            "--input",
            metavar="JSON|@FILE|-",
            help="The input as JSON, from a file, or from stdin.",
        ),
    ],
    tier: Tier = None,
    wait: Annotated[
        float, typer.Option(metavar="S", min=1, help="Wait up to S seconds for the end.")
    ] = 120.0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show the processing of one input: each prompt, the raw answer, the checks and the cost.

    The file is not applied. Exit code 1 if no answer was served. Needs a key with the scope
    operator, whose account pays.
    """
    from tierline.checks import CheckContext
    from tierline.cli.features.case_runs import warn
    from tierline.cli.features.drafts import keep_draft, submit
    from tierline.cli.features.try_view import show_attempts
    from tierline.cli.run.job_view import show_job
    from tierline.cli.run.jobs import follow, read_json_option
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    text, feature = _read_tier(file, tier)
    job_input = read_json_option(input_, "--input")
    with connect(home) as api:
        draft = keep_draft(api, file, text, tier)
        warn(draft, file)
        job = follow(api, submit(api, draft, job_input), wait, as_json)
        attempts = api.get(f"/v1/jobs/{job['id']}/attempts")["data"]
    if as_json:
        print_json(job | {"attempts": attempts})
    else:
        created_at = datetime.fromisoformat(job["created_at"])
        show_attempts(feature, job_input, attempts, CheckContext(created_at))
        show_job(job, as_json=False)
        if job["status"] not in ("completed", "failed", "cancelled", "expired"):
            line(f"the job continues: tierline jobs get {job['id']} --wait 60 --attempts")
    if job["status"] != "completed":
        raise typer.Exit(1)


def run_files(
    api: "Client", files: list[Path], tier: str | None, within_s: float, quiet: bool
) -> list["FileRun"]:
    """Run every file's cases. Raises FeatureError before the first if a file has no cases."""
    from tierline.cli.features.case_runs import report, run_cases, warn

    read = [(path, *_read_tier(path, tier)) for path in files]
    without_cases = [path for path, _, feature in read if not feature.cases]
    if without_cases:
        raise FeatureError([Problem("has no cases", source=str(path)) for path in without_cases])
    runs = []
    for path, text, feature in read:
        run = run_cases(api, path, text, feature, tier, within_s)
        runs.append(run)
        warn(run.draft, path)
        if not quiet:
            report(run)
    return runs


def _read_tier(path: Path, tier: str | None) -> tuple[str, "Feature"]:
    """The file's text and feature, reduced to `tier` if one is given."""
    text, feature = read_text(path), read_feature(path)
    if tier is None:
        return text, feature
    try:
        return text, feature.only(tier)
    except KeyError:
        names = ", ".join(one.name for one in feature.tiers)
        raise UsageError(f"{path} has no tier {tier!r}; its tiers are {names}") from None
