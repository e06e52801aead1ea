"""`tierline features`: write, check, try and apply feature files, and show the applied ones.

`init`, `schema`, `validate` and `check` need no server; the others use the API.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.errors import FeatureError, InvalidInput, Problem, TierlineError
from tierline.cli.features import feature_check, feature_start, feature_trials
from tierline.cli.features.example_files import examples
from tierline.cli.features.feature_reading import read_feature, read_text, read_with_warnings
from tierline.cli.features.feature_trials import CASES_S, run_files
from tierline.cli.shared.options import Files, Home, Json, command_group

if TYPE_CHECKING:
    from tierline.base.json_text import JSON
    from tierline.cli.shared.client import Client
    from tierline.features import Feature, ModelRef

app = command_group("Write, check, apply and show feature files.")


app.command()(feature_start.init)
app.command()(feature_start.schema)
app.command("test")(feature_trials.run)
app.command("try")(feature_trials.show)
app.command("check")(feature_check.check)
app.command()(examples)


@app.command()
def validate(files: Files, home: Home = None, as_json: Json = False) -> None:
    """Check feature files, and show every problem with its line. No server is needed.

    Exit code 2 if a file has a problem. A running server checks the files too: it knows its
    workers' keys, prices and own checks. What it misses outside the file, such as a key, is a
    warning.
    """
    from tierline.cli.shared.output import line, note, print_json

    items: list[JSON] = []
    failed: list[Problem] = []
    left_out = 0
    for path in files:
        item: dict[str, JSON] = {"file": str(path), "feature": None}
        item |= {"problems": [], "problems_left_out": 0, "warnings": []}
        try:
            feature, file_warnings = read_with_warnings(path)
            server_warnings = _server_warnings(path, home)
        except FeatureError as error:
            failed.extend(error.problems)
            left_out += error.left_out
            item["problems_left_out"] = error.left_out
            item["problems"] = [
                {"line": one.line, "path": one.path, "message": one.message}
                for one in error.problems
            ]
        else:
            item["feature"] = feature.name
            other_warnings = missing_here(feature) if server_warnings is None else server_warnings
            item["warnings"] = list(dict.fromkeys((*file_warnings, *other_warnings)))
            if not as_json:
                for warning in item["warnings"]:
                    note(f"{path}: warning: {warning}")
                line(f"{path}: {feature.name} is valid")
        items.append(item)
    if as_json:
        print_json({"data": items})
        raise typer.Exit(2 if failed else 0)
    if failed:
        raise FeatureError(failed, left_out)


@app.command()
def apply(
    files: Files,
    require_cases: Annotated[
        bool,
        typer.Option(
            "--require-cases", help="Run the cases first; if a case fails, no file is applied."
        ),
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Apply features to the installation; new jobs use the new version at once.

    All files are checked first: if one has a problem, none is applied. Needs a key with the scope
    operator.
    """
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, note, print_json

    problems: list[Problem] = []
    left_out = 0
    for path in files:
        try:
            read_feature(path)
        except FeatureError as error:
            problems.extend(error.problems)
            left_out += error.left_out
    if problems:
        raise FeatureError(problems, left_out)
    applied = []
    with connect(home) as api:
        if require_cases:
            failed = sum(run.failed for run in run_files(api, files, None, CASES_S, as_json))
            if failed:
                raise TierlineError(f"nothing was applied: {_counted(failed)} failed")
        for path in files:
            answer = _apply(api, path)
            applied.append(answer)
            for warning in answer.get("warnings") or []:
                note(f"{path}: warning: {warning}")
            if not as_json:
                changed = "is now" if answer.get("changed") else "is unchanged at"
                line(f"{path}: {answer['name']} {changed} version {answer['version']}")
    if as_json:
        print_json({"data": applied})


@app.command("list")
def list_(home: Home = None, as_json: Json = False) -> None:
    """The applied features, and the version that new jobs get."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import Col, one_line, print_json, print_lines, when

    with connect(home) as api:
        answer = api.get("/v1/features")
    if as_json:
        print_json(answer)
        return
    print_lines(
        [
            *(Col("FEATURE", wrap=False), Col("VERSION", "right"), Col("APPLIED", rank=2)),
            Col("DESCRIPTION", least=20, rank=1),
        ],
        [
            (
                item["name"],
                item["version"],
                when(item.get("applied_at")),
                one_line(item.get("description") or "", 100),
            )
            for item in answer["data"]
        ],
        empty="no feature is applied yet: tierline features init NAME, then features apply FILE",
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="FEATURE", help="The feature's name.")],
    version: Annotated[
        int | None, typer.Option(help="A version other than the current one.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """The feature's file as it was applied."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, note, print_json

    with connect(home) as api:
        params = {} if version is None else {"version": version}
        answer = api.get(f"/v1/features/{name}", params=params)
    if as_json:
        print_json(answer)
        return
    note(f"# {answer['name']}, version {answer['version']}")
    line(answer["source"].rstrip("\n"))


def _counted(cases: int) -> str:
    return "1 case" if cases == 1 else f"{cases} cases"


def _apply(api: "Client", path: Path, params: "JSON" = None) -> "JSON":
    try:
        return api.request(
            "POST",
            "/v1/features",
            params=params,
            content=read_text(path).encode(),
            headers={"Content-Type": "application/yaml"},
        )
    except InvalidInput as error:  # the server may know more than this machine
        problems = [replace(one, source=str(path)) for one in error.problems]
        raise FeatureError(problems, error.left_out) from None


def _server_warnings(path: Path, home: Path | None) -> list[str] | None:
    """The server's warnings about the file; None if no server checks it with this key.

    Raises FeatureError with the problems that only the server sees.
    """
    from tierline.cli.shared.client import connect

    try:
        with connect(home) as api:
            answer = _apply(api, path, {"dry_run": "true"})
    except FeatureError:
        raise
    except TierlineError:
        return None
    return list(answer.get("warnings") or ())


def missing_here(feature: "Feature") -> list[str]:
    """The local models that this machine does not have, one line each.

    It does not check whether a provider's key is set, because only workers need it.
    """
    lines = []
    for tier in feature.allowed_tiers():
        for model in tier.models:
            missing = None if model.requested_class else _missing(model)
            if missing:
                lines.append(f"tier {tier.name}: {model}: {missing}")
    return lines


def _missing(model: "ModelRef") -> str | None:
    from tierline.base.settings import settings
    from tierline.stack.local_models import models

    if model.provider != "local" or settings().local_url:
        return None
    # 'tierline up' runs the local models whose files it has.
    local_model = models.MODELS.get(model.model)
    if local_model is None:
        return f"there is no local model of that name; use one of {', '.join(models.MODELS)}"
    try:
        models.find(local_model)
    except models.ModelMissing as error:
        return error.message
    return None
