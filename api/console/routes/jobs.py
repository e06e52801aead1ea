"""The list of jobs, a job's page, its content, and what a person may do with it."""

import dataclasses
import json
import re
import secrets
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api.access.keys import Caller
from api.access.shown import job_for
from api.console.pages import ConsoleRoute, page, see_other
from api.console.session import CONSOLE, Posted, Reader, Submitter, session_cookie
from api.console.views.audit import entry_text
from api.console.views.job_filters import STATUSES, VERDICTS, details_of, read_filters
from api.console.views.road import picture_of, place_of, steps_of
from api.console.visible import Cut, cut
from api.http.problems import Refused
from api.parameters.ids import read_id
from api.parameters.job_pages import job_page
from api.routes.jobs.events import LastOfJob, TimeoutS, job_stream
from api.state import Database, LateDatabase, Shared, State
from tierline.base.errors import NotFound
from tierline.base.ids import database_now
from tierline.rules.job_events import JOB_EVENTS
from tierline.rules.jobs import TERMINAL, Status
from tierline.services.accounts import audit
from tierline.services.accounts.audit import Entry
from tierline.services.features.find_feature import current_versions
from tierline.services.jobs import read_jobs
from tierline.services.jobs.cancel import cancel
from tierline.services.jobs.read_jobs import attempts_of
from tierline.services.jobs.running.decision_log import decisions_of
from tierline.services.operations.bulk_actions import MOST_COUNTED, count_jobs
from tierline.services.webhooks.endpoints import list_deliveries
from tierline.views.jobs.attempts import AttemptRow, attempt_view, call_view

router = APIRouter(prefix=f"{CONSOLE}/jobs", include_in_schema=False, route_class=ConsoleRoute)

PAGE = 50
MOST_DELIVERIES = 50
_NONCE = re.compile(r"[A-Za-z0-9_-]{16}")


@router.get("")
def get_jobs(request: Request, caller: Reader, connection: LateDatabase) -> Response:
    """A page of the account's jobs, the newest first."""
    filters, selection = read_filters(request.query_params)
    details = details_of(filters)
    counted = None
    if request.query_params.get("count"):
        counted = count_jobs(connection, caller.account_id, selection, details)
    rows, cursor = job_page(
        connection,
        caller.account_id,
        selection,
        details,
        request.query_params.get("cursor"),
        PAGE,
    )
    return page(
        request,
        "jobs.html",
        jobs=[(job_for(caller, row), row["place"]) for row in rows],
        filters=filters,
        statuses=STATUSES,
        verdicts=VERDICTS,
        most_examined=read_jobs.MOST_EXAMINED,
        counted=counted,
        most_counted=MOST_COUNTED,
        full=len(rows) == PAGE,
        features=[version.name for version in current_versions(connection)],
        older=None if cursor is None else filters.query(cursor),
        later="cursor" in request.query_params,
    )


@router.get("/{job_id}")
def get_job(request: Request, job_id: str, caller: Reader, connection: Database) -> Response:
    """A job's road, without its content."""
    id = read_id(job_id, "job")
    rows = read_jobs.jobs_of(connection, caller.account_id, [id])
    if not rows:
        raise NotFound(f"there is no job {job_id}")
    (row,) = rows
    job = job_for(caller, row)
    attempts, calls = attempts_of(connection, caller.account_id, id)
    log = decisions_of(connection, caller.account_id, id)
    attempt_views = [
        attempt_view(one, [call_view(call) for call in calls.get(one["number"], [])])
        for one in attempts
    ]
    steps = steps_of(attempt_views, log.decisions)
    now = database_now()
    return page(
        request,
        "job.html",
        job=job,
        place=row["place"],
        steps=steps,
        waits=[one for one in log.decisions if one.attempt is None],
        picture=picture_of(job, steps, now),
        deliveries=list_deliveries(
            connection, caller.account_id, limit=MOST_DELIVERIES, job_id=id
        ).rows,
        log=[(entry, entry_text(entry).what) for entry in audit.entries_of_job(connection, id)],
        now=now,
        ended=job.status in TERMINAL,
        live_events=JOB_EVENTS,
        may_cancel=caller.may("submit") and job.status not in TERMINAL,
        may_retry=caller.may("submit")
        and job.status in TERMINAL
        and job.status != Status.COMPLETED
        and job.feature_version > 0
        and job.input_removed_at is None,
        nonce=secrets.token_urlsafe(12),
    )


@router.get("/{job_id}/events")
async def follow_job(
    request: Request,
    job_id: str,
    caller: Reader,
    state: Shared,
    last_event_id: LastOfJob = None,
    timeout_s: TimeoutS = None,
) -> Response:
    """The job's events, so that its page moves. They have no content: looks at that are logged."""
    without_content = dataclasses.replace(caller, scopes=frozenset({"submit"}))
    token = session_cookie(request).read(request)

    async def still_valid() -> None:
        if await state.keys.of_session(token) is None:
            raise Refused("unauthorized", "the session has ended")

    return await job_stream(state, without_content, job_id, last_event_id, timeout_s, still_valid)


@router.post("/{job_id}/content")
async def show_content(
    request: Request, job_id: str, caller: Reader, _: Posted, state: Shared
) -> Response:
    """The job's input and answers. Each look is logged before anything is shown."""
    id = read_id(job_id, "job")
    job_request = await audit.show_request(state.pool, caller.account_id, caller.key_id, id)
    row = await read_jobs.find_job(state.pool, caller.account_id, id)
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    attempts = await run_in_threadpool(_attempts, state, caller, id)
    return page(
        request,
        "content.html",
        job=job_for(caller, row),
        place_of=place_of,
        input=None if job_request["input_removed_at"] else _json(job_request["input"]),
        metadata=None if row["metadata"] is None else _json(row["metadata"]),
        output=None if row["output"] is None else _json(row["output"]),
        answers=[(one, _answer(one)) for one in attempts],
    )


@router.post("/{job_id}/cancel")
async def cancel_job(job_id: str, caller: Submitter, _: Posted, state: Shared) -> Response:
    """Ask that the job be cancelled."""
    id = read_id(job_id, "job")
    status = await run_in_threadpool(state.with_connection, cancel, caller.account_id, id)
    if status in TERMINAL:
        state.tell_ended(id)
    await audit.log_entry(state.pool, Entry(caller.account_id, caller.key_id, audit.CANCELLED, id))
    return see_other(f"{CONSOLE}/jobs/{id}")


@router.post("/{job_id}/retry")
async def retry_job(job_id: str, caller: Submitter, form: Posted, state: Shared) -> Response:
    """Retry the job, as a new job. The same form makes one new job, however often it is sent."""
    id = read_id(job_id, "job")
    nonce = form.get("nonce", "")
    if not _NONCE.fullmatch(nonce):
        raise Refused("bad-request", "open the job's page again and repeat it")
    submitted = await state.submitter.retry(
        caller.account_id,
        id,
        f"console:{id}:{nonce}",
        account=caller.account,
        most_queued=caller.limits.max_queued_jobs,
        capped=caller.capped,
    )
    if not submitted.replayed:
        state.ready.ready()
        entry = Entry(
            caller.account_id,
            caller.key_id,
            audit.RETRIED,
            id,
            {"new_job": str(submitted.job_id)},
        )
        await audit.log_entry(state.pool, entry)
    return see_other(f"{CONSOLE}/jobs/{submitted.job_id}")


def _attempts(state: State, caller: Caller, job_id: Any) -> list[AttemptRow]:
    return state.with_connection(attempts_of, caller.account_id, job_id).attempts


def _json(value: object) -> Cut:
    if isinstance(value, str):
        return cut(value)
    return cut(json.dumps(value, ensure_ascii=False, indent=2))


def _answer(row: AttemptRow) -> Cut | None:
    return None if row["answer"] is None else cut(row["answer"])
