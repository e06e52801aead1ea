"""Trainings on the command line: the code that `tierline micro` and `tierline router` share.

The server trains. A command starts a training and shows its progress; Ctrl-C leaves it running.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierline.base.errors import TierlineError
from tierline.base.json_text import JSON
from tierline.cli.shared.operations import followed
from tierline.cli.shared.options import Home, Json, command_group

if TYPE_CHECKING:
    from tierline.cli.shared.client import Client
    from tierline.cli.shared.output import Col

Feature = Annotated[str, typer.Argument(metavar="FEATURE")]
TrainingId = Annotated[int, typer.Argument(metavar="ID", min=1, help="The training's id.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show how good it would be.")]


@dataclass(frozen=True)
class Kind:
    """One of the two kinds of trained artefact, with the texts of its commands."""

    name: str  # in the API
    command: str  # tierline COMMAND
    noun: str
    path: str  # /v1/features/{name}/PATH
    columns: Callable[[], Sequence["Col"]]  # of the list, between TRAINED and BY
    cells: Callable[[JSON], Sequence[object]]
    none_yet: str  # shown instead of an empty list
    show: Callable[[str, JSON], None]  # prints the result of a training; gets the feature's name


def commands(kind: Kind, summary: str) -> typer.Typer:
    """The commands of both kinds: list, withdraw, trainings, follow, cancel."""
    app = command_group(summary)

    @app.command("list")
    def list_(feature: Feature, home: Home = None, as_json: Json = False) -> None:
        _list(kind, feature, home, as_json=as_json)

    list_.__doc__ = f"List a feature's {kind.noun}s, the newest first."

    @app.command()
    def withdraw(
        feature: Feature,
        id: Annotated[int, typer.Argument(metavar="ID", min=1)],
        home: Home = None,
        as_json: Json = False,
    ) -> None:
        from tierline.cli.shared.client import connect
        from tierline.cli.shared.output import line, print_json

        with connect(home) as api:
            artefact = api.post(f"/v1/features/{feature}/{kind.path}/{id}/withdraw")
        if as_json:
            print_json(artefact)
            return
        line(f"{kind.noun} {id} of {feature} is withdrawn")

    withdraw.__doc__ = f"Withdraw a {kind.noun}: the one before it is used, if there is one."

    @app.command()
    def trainings(feature: Feature, home: Home = None, as_json: Json = False) -> None:
        """List a feature's trainings, the newest first."""
        _trainings(kind, feature, home, as_json=as_json)

    @app.command()
    def follow(feature: Feature, id: TrainingId, home: Home = None, as_json: Json = False) -> None:
        """Wait for a training to end, and show its result."""
        from tierline.cli.shared.client import connect

        with connect(home) as api:
            training = api.get(f"/v1/features/{feature}/trainings/{id}")
            _show(kind, _ended(kind, api, training), as_json=as_json)

    @app.command()
    def cancel(feature: Feature, id: TrainingId, home: Home = None, as_json: Json = False) -> None:
        """Cancel a training; nothing of it is kept."""
        from tierline.cli.shared.client import connect
        from tierline.cli.shared.output import line, print_json

        with connect(home) as api:
            training = api.post(f"/v1/features/{feature}/trainings/{id}/cancel")
        if as_json:
            print_json(training)
        elif training["status"] == "in_progress":
            line(f"training {id} of {feature} will end within seconds")
        else:
            line(f"training {id} of {feature} is {training['status']}")

    return app


def train(kind: Kind, api: "Client", feature: str, options: JSON, *, as_json: bool) -> None:
    """Start a training on the server, wait for its end, and show its result. Raises TierlineError
    if there is none.
    """
    training = api.post(f"/v1/features/{feature}/trainings", json={"kind": kind.name, **options})
    _show(kind, _ended(kind, api, training), as_json=as_json)


def _ended(kind: Kind, api: "Client", training: JSON) -> JSON:
    """Wait for the training to end; return it."""
    feature, id = training["feature"], training["id"]
    return followed(
        api,
        f"/v1/features/{feature}/trainings/{id}",
        training,
        "training",
        f"follow it with 'tierline {kind.command} follow {feature} {id}', or cancel it with "
        f"'tierline {kind.command} cancel {feature} {id}'",
    )


def _show(kind: Kind, training: JSON, *, as_json: bool) -> None:
    from tierline.cli.shared.output import print_json

    feature, id = training["feature"], training["id"]
    if training["status"] == "failed":
        raise TierlineError(training["error"]["message"])
    if training["status"] == "cancelled":
        raise TierlineError(f"training {id} of {feature} was cancelled: it has no result")
    result = training["result"]
    if as_json:
        names = (kind.name, "rows", "right_rows", "quality")
        print_json({"training_id": id, **{name: result[name] for name in names}})
    else:
        kind.show(feature, result)


def _list(kind: Kind, feature: str, home: Path | None, *, as_json: bool) -> None:
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import Col, print_json, print_table, when

    with connect(home) as api:
        answer = api.get(f"/v1/features/{feature}/{kind.path}")
    if as_json:
        print_json(answer)
        return
    print_table(
        [
            Col("ID", "right"),
            Col("TRAINED", wrap=False),
            *kind.columns(),
            *(Col("BY"), Col("WITHDRAWN", wrap=False)),
        ],
        [
            (
                *(one["id"], when(one["trained_at"]), *kind.cells(one)),
                "" if one["trained_by"] == "server" else "a client",
                when(one["withdrawn_at"]) if one["withdrawn_at"] else "",
            )
            for one in answer["data"]
        ],
        empty=kind.none_yet,
    )


def _trainings(kind: Kind, feature: str, home: Path | None, *, as_json: bool) -> None:
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import Col, print_json, print_table, when

    with connect(home) as api:
        answer = api.get(f"/v1/features/{feature}/trainings")
    rows = [one for one in answer["data"] if one["kind"] == kind.name]
    if as_json:
        print_json({**answer, "data": rows})
        return
    print_table(
        [
            *(Col("ID", "right"), Col("STARTED", wrap=False), Col("STATUS"), Col("RESULT")),
        ],
        [(one["id"], when(one["created_at"]), one["status"], _outcome(kind, one)) for one in rows],
        empty="no training yet",
    )


def _outcome(kind: Kind, training: Any) -> str:
    if training["error"] is not None:
        return str(training["error"]["message"])
    if training["progress"] is not None and training["status"] == "in_progress":
        return str(training["progress"]["phase"])
    if training["result"] is None:
        return ""
    artefact = training["result"][kind.name]
    return "a dry run" if artefact is None else f"{kind.noun} {artefact['id']}"
