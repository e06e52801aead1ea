"""`tierline jobs`: submit a job, follow it, show its attempts, cancel it, retry it, remove its
content."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from tierline.base.errors import Forbidden, UsageError
from tierline.base.json_text import JSON, NotJson, parse_json
from tierline.cli.run import bulk
from tierline.cli.run.job_view import cost_of, readable, remark, show_job
from tierline.cli.shared.options import Home, Json, command_group
from tierline.rules.jobs import TERMINAL

if TYPE_CHECKING:
    from tierline.cli.shared.client import Client

app = command_group("Submit jobs, follow them, cancel or retry them, remove their content.")

app.add_typer(bulk.app, name="bulk")

GOES_ON = 202  # content of a large batch is left: repeat the request
LONGEST_WAIT_S = 30.0  # of one request; a longer wait repeats it

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]


@app.command()
def submit(
    feature: Annotated[str, typer.Argument(metavar="FEATURE", help="The feature to run.")],
    input_: Annotated[
        str,
        typer.Option(
            "--input",
            metavar="JSON|@FILE|-",
            help="The input as JSON, from a file, or from stdin.",
        ),
    ],
    wait: Annotated[
        float, typer.Option(metavar="S", min=0, help="Wait up to S seconds for the end.")
    ] = 0.0,
    key: Annotated[
        str | None,
        typer.Option(help="Idempotency-Key: the same job with the same key is submitted once."),
    ] = None,
    webhook_url: Annotated[
        str | None, typer.Option(help="Where to send the job's events, signed.")
    ] = None,
    metadata: Annotated[
        str | None,
        typer.Option(metavar="JSON|@FILE", help="An object that is returned with the job."),
    ] = None,
    deadline: Annotated[
        float | None, typer.Option(metavar="S", help="The job expires after S seconds.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Submit one job and print its state, or with --wait its result.

    A key that may submit but not read does not get the output.

    Exit code 1 if it ended without being completed.
    """
    from tierline.cli.shared.client import connect

    body: dict[str, JSON] = {"feature": feature, "input": read_json_option(input_, "--input")}
    if metadata is not None:
        body["metadata"] = read_json_option(metadata, "--metadata")
    if webhook_url is not None:
        body["webhook_url"] = webhook_url
    if deadline is not None:
        body["deadline_s"] = deadline
    until = time.monotonic() + wait
    if wait and key is None:
        key = str(uuid4())  # a key that may not read polls by submitting again
    headers = {} if key is None else {"Idempotency-Key": key}
    with connect(home) as api:

        def submitted() -> JSON:
            return api.post("/v1/jobs", json=body, headers=_waiting(headers, until))

        job = submitted()
        if readable(job):
            job = follow(api, job, until - time.monotonic(), as_json)
        else:
            job = _until_ended(submitted, job, until)
    show_job(job, as_json)
    _end(job)


@app.command()
def get(
    job_id: JobId,
    attempts: Annotated[
        bool, typer.Option("--attempts", help="Show every attempt, its verdict and its calls.")
    ] = False,
    wait: Annotated[
        float, typer.Option(metavar="S", min=0, help="Wait up to S seconds for the end.")
    ] = 0.0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """One job: its state, its output, and its cost."""
    from tierline.cli.shared.client import connect

    with connect(home) as api:
        job = follow(api, api.get(_path(job_id)), wait, as_json)
        tried = api.get(f"{_path(job_id)}/attempts")["data"] if attempts else None
    show_job(job, as_json, tried)


@app.command("list")
def list_(
    feature: Annotated[str | None, typer.Option(help="Only of this feature.")] = None,
    status: Annotated[
        str | None,
        typer.Option(help="queued, in_progress, completed, failed, cancelled or expired."),
    ] = None,
    batch: Annotated[str | None, typer.Option(help="Only of this batch.")] = None,
    verdict: Annotated[
        str | None, typer.Option(help="Only with an attempt that ended so: schema, rule, …")
    ] = None,
    user: Annotated[str | None, typer.Option(help="Only of this user.")] = None,
    session: Annotated[str | None, typer.Option(help="Only of this session.")] = None,
    metadata: Annotated[
        str | None, typer.Option(metavar="KEY=VALUE", help="Only with this in their metadata.")
    ] = None,
    escalated: Annotated[
        bool | None,
        typer.Option("--escalated/--not-escalated", help="Only those that left their first tier."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Jobs in one page.")] = 20,
    cursor: Annotated[
        str | None, typer.Option(help="The cursor of the next page, from the last page.")
    ] = None,
    drafts: Annotated[
        bool, typer.Option("--drafts", help="Also jobs of drafts, from 'features test' and 'try'.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Jobs of your account, the newest first. A wider terminal shows more columns."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import Col, one_line, print_page, when

    params = {
        "drafts": "true" if drafts else "false",
        "feature": feature,
        "status": status,
        "batch_id": batch,
        "verdict": verdict,
        "user": user,
        "session": session,
        "metadata": metadata,
        "escalated": None if escalated is None else str(escalated).lower(),
        "limit": limit,
        "cursor": cursor,
    }
    with connect(home) as api:
        page = api.get("/v1/jobs", params={k: v for k, v in params.items() if v is not None})
    print_page(
        page,
        [
            *(Col("ID", wrap=False), Col("FEATURE", least=12), Col("STATUS"), Col("TIER", rank=1)),
            Col("COST", "right"),
            Col("SUBMITTED", rank=2),
            Col("NOTE", least=12, rank=3),
        ],
        lambda job: (
            job["id"],
            job["feature"],
            job["status"],
            job["tier"],
            cost_of(job) + (" + ?" if job.get("unknown_cost_calls") else ""),
            when(job["created_at"]),
            one_line(remark(job), 60),
        ),
        empty="no jobs",
        as_json=as_json,
    )


@app.command()
def cancel(job_id: JobId, home: Home = None, as_json: Json = False) -> None:
    """Cancel a job. A running one is asked to stop, and shows that until it has stopped.

    Exit code 1 if it had ended before.
    """
    from contextlib import suppress

    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    with connect(home) as api:
        before = None
        with suppress(Forbidden):  # a key that may submit and not read
            before = api.get(_path(job_id))["status"]
        job = api.post(f"{_path(job_id)}/cancel")
    ended = before in TERMINAL or job["status"] in TERMINAL - {"cancelled"}
    if as_json:
        print_json(job)
    elif ended:
        line(f"{job['id']} had ended: it is {job['status']}")
    elif job["status"] in TERMINAL:
        line(f"{job['id']} is {job['status']}")
    else:
        line(f"{job['id']} is {job['status']}: asked to stop, see 'tierline jobs get'")
    raise typer.Exit(1 if ended else 0)


@app.command()
def retry(
    job_id: JobId,
    wait: Annotated[
        float, typer.Option(metavar="S", min=0, help="Wait up to S seconds for the end.")
    ] = 0.0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Retry a job that ended without an answer, as a new job; with --wait print its result.

    Exit code 1 if the new job ended without being completed.
    """
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    until = time.monotonic() + wait
    # A key that may not read polls by retrying again.
    headers = {"Idempotency-Key": str(uuid4())} if wait else {}
    with connect(home) as api:

        def retried() -> JSON:
            return api.post(f"{_path(job_id)}/retry", headers=_waiting(headers, until))

        job = retried()
        if readable(job):
            job = follow(api, job, until - time.monotonic(), as_json)
        else:
            job = _until_ended(retried, job, until)
    if wait:
        show_job(job, as_json)
    elif as_json:
        print_json(job)
    else:
        line(f"{job['id']} is {job['status']}")
    _end(job)


@app.command("remove-content")
def remove_content(
    job_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="The job's id.", show_default=False)
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(metavar="ID", help="All jobs of this batch, instead of one job."),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Remove inputs and outputs of ended jobs for good. Verdicts and costs stay."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json
    from tierline_client.retry_after import retry_after_s

    if (job_id is None) == (batch is None):
        raise UsageError("give a job's ID, or --batch ID for all jobs of a batch")
    path = _path(job_id) if job_id is not None else _path(batch or "", "batches")
    with connect(home) as api:
        answer = api.send("DELETE", f"{path}/content")
        while answer.status_code == GOES_ON:
            time.sleep(retry_after_s(answer.headers.get("Retry-After")) or 1.0)
            answer = api.send("DELETE", f"{path}/content")
    body = answer.json()
    if as_json:
        print_json(body)
    elif job_id is not None:
        line(f"{body['id']}: its input and outputs are removed")
    else:
        line(f"batch {body['id']}: inputs and outputs of its jobs are removed")


def _waiting(headers: dict[str, str], until: float) -> dict[str, str]:
    """The headers of a request that waits for the job as long as one request may."""
    left_s = until - time.monotonic()
    if left_s <= 0:
        return headers
    return {**headers, "Prefer": f"wait={min(left_s, LONGEST_WAIT_S):.3f}"}


def _until_ended(ask: Callable[[], JSON], job: JSON, until: float) -> JSON:
    """As `follow`, for a key that may not read: the same request returns the same job again."""
    pause_s = 0.05
    while job["status"] not in TERMINAL and time.monotonic() < until:
        time.sleep(max(0.0, min(pause_s, until - time.monotonic())))
        pause_s = min(pause_s * 1.5, 1.0)
        job = ask()
    return job


def _path(id: str, kind: str = "jobs") -> str:
    from urllib.parse import quote

    return f"/v1/{kind}/{quote(id, safe='')}"


def follow(api: "Client", job: JSON, wait_s: float, quiet: bool) -> JSON:
    """The job at its end, or after `wait_s` seconds; changes are shown on stderr."""
    from tierline.cli.shared.output import note

    deadline = time.monotonic() + wait_s
    shown = None
    pause_s = 0.05
    while job["status"] not in TERMINAL and time.monotonic() < deadline:
        words = job.get("status_label")
        if words and words != shown and not quiet and sys.stderr.isatty():
            note(f"{words}")
            shown = words
        time.sleep(max(0.0, min(pause_s, deadline - time.monotonic())))
        pause_s = min(pause_s * 1.5, 1.0)
        job = api.get(_path(job["id"]))
    return job


def _end(job: JSON) -> None:
    if job["status"] in TERMINAL and job["status"] != "completed":
        raise typer.Exit(1)


def read_json_option(text: str, option: str) -> JSON:
    """The JSON in an option or in the file that it names. Raises UsageError."""
    if text == "-":
        raw, source = sys.stdin.buffer.read(), "stdin"
    elif text.startswith("@"):
        source = text[1:]
        try:
            raw = Path(source).read_bytes()
        except OSError as error:
            raise UsageError(f"{option}: {source}: {error.strerror or error}") from None
    else:
        raw, source = text.encode("utf-8", "surrogatepass"), option
    try:
        return parse_json(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UsageError(f"{option}: {source} is not UTF-8") from None
    except NotJson as error:
        hint = "; @FILE reads a file" if source == option else f" ({source})"
        raise UsageError(f"{option}: {error.message}{hint}") from None
