"""The page Review: people label answers, one at a time."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api.access.keys import Caller
from api.access.shown import job_for
from api.console.actions import Detail, log_action
from api.console.pages import ConsoleRoute, page, see_other
from api.console.session import CONSOLE, Administrator, Posted, Reader, Submitter
from api.console.views import schema_form
from api.console.views.job_filters import MOST_NAME, read_filters
from api.console.views.review import parts_of
from api.http.problems import Refused
from api.parameters.ids import read_id
from api.state import LateReport, Shared, State
from tierline.base.errors import Conflict, InvalidInput, NotFound, Problem
from tierline.base.json_text import JSON
from tierline.checks.evidence import GroundedValue, grounded_values
from tierline.features import Feature
from tierline.features.stored import UnreadableFeature
from tierline.services.accounts import audit
from tierline.services.evidence.calibration.calibration_outcomes import draw_for_labels
from tierline.services.evidence.labels import reviews
from tierline.services.evidence.labels.feedback import AnswerFeedback
from tierline.services.evidence.labels.reviews import LabelledByAnother, OpenReview, Reviewer
from tierline.services.features.find_feature import current_versions, version_of
from tierline.services.jobs import read_jobs
from tierline.views.jobs.jobs import JobRow

router = APIRouter(prefix=f"{CONSOLE}/review", include_in_schema=False, route_class=ConsoleRoute)

MOST_DRAWN = 500
MOST_GONE = 20  # jobs that were removed since their label was requested
RIGHT, WRONG, SKIP, CORRECT = "right", "wrong", "skip", "correct"
_NOTES = {
    RIGHT: "Stored: the answer is right.",
    WRONG: "Stored: the answer is wrong.",
    CORRECT: "Stored, with what is right.",
    SKIP: "Skipped: others are asked.",
}
_REPEATED = "You had labelled this answer before: nothing was stored again."


@dataclass(frozen=True)
class Note:
    """What became of the form before."""

    text: str
    tone: str = "good"


@dataclass(frozen=True)
class Answer:
    """What is shown of the job that is labelled."""

    review: OpenReview
    row: JobRow
    input: JSON
    feature: Feature | None  # None: of a later release
    values: list[GroundedValue]


@dataclass(frozen=True)
class Typed:
    """A correction that was refused."""

    job_id: UUID
    fields: Mapping[str, str]
    problems: tuple[Problem, ...]


@router.get("")
def get_review(
    request: Request, caller: Reader, connection: LateReport, feature: str = ""
) -> Response:
    """Which features have answers to label, and how far one of them is."""
    names = [version.name for version in current_versions(connection)]
    chosen = feature.strip() if feature.strip() in names else ""
    counts = reviews.open_counts(connection, _reviewer(caller))
    if not chosen and counts:
        chosen = max(counts, key=lambda one: one.for_me).feature
    return page(
        request,
        "review.html",
        names=sorted({*names, *(one.feature for one in counts)}),
        chosen=chosen,
        counts=counts,
        mine=next((one for one in counts if one.feature == chosen), None),
        progress=reviews.progress(connection, caller.account_id, chosen)
        if chosen in names
        else None,
        may_label=caller.may("submit"),
        may_draw=caller.may("admin"),
        most_drawn=MOST_DRAWN,
    )


@router.post("/next")
async def next_answer(request: Request, caller: Submitter, form: Posted, state: Shared) -> Response:
    """The next answer to label. Each look at it is logged."""
    return await _show_next(request, caller, state, _feature(form))


@router.post("/draw")
async def draw(request: Request, caller: Administrator, form: Posted, state: Shared) -> Response:
    """Draw answers at random for people to label."""
    feature = _feature(form)
    count, second_share = _count(form), _second_share(form)

    def work(connection: Any) -> int:
        drawn = draw_for_labels(
            connection,
            feature,
            count,
            account_id=caller.account_id,
            second_share=second_share,
            only_new=True,
        )
        return len(drawn)

    drawn = await state.reports.work(request, caller.account_id, work)
    await log_action(state, caller, audit.LABELS_REQUESTED, {"feature": feature, "labels": drawn})
    return see_other(_page_of(feature))


@router.post("/filter")
async def ask_for_filter(
    request: Request, caller: Submitter, form: Posted, state: Shared
) -> Response:
    """Ask for labels of the newest jobs that match a filter of the list of jobs."""
    filters, selection = read_filters(form)
    count, second_share = _count(form), _second_share(form)

    def work(connection: Any) -> int:
        return reviews.ask_for_filter(connection, caller.account_id, selection, count, second_share)

    requested = await state.reports.work(request, caller.account_id, work)
    detail: Detail = {"feature": filters.feature or "any", "labels": requested}
    await log_action(state, caller, audit.LABELS_REQUESTED, detail)
    return see_other(_page_of(filters.feature))


@router.post("/again")
async def ask_again(caller: Submitter, form: Posted, state: Shared) -> Response:
    """Ask again for what this person skipped."""
    feature = _feature(form)
    await run_in_threadpool(state.with_connection, reviews.ask_again, _reviewer(caller), feature)
    return see_other(_page_of(feature))


@router.post("/{job_id}")
async def say(
    request: Request, job_id: str, caller: Submitter, form: Posted, state: Shared
) -> Response:
    """Store what the person says of the answer, and show the next one. A form that is sent twice
    is stored once.
    """
    id = read_id(job_id, "job")
    feature = _feature(form)
    action = form.get("action", "")
    try:
        note = await run_in_threadpool(
            state.with_connection, _store, _reviewer(caller), id, action, form
        )
    except InvalidInput as refused:
        typed = Typed(id, form, refused.problems)
        return await _show_next(request, caller, state, feature, typed=typed, status=422)
    except LabelledByAnother as other:
        note = Note(other.message, "warn")
    except Conflict as gone:
        note = Note(gone.message, "warn")
        with contextlib.suppress(NotFound):
            await run_in_threadpool(state.with_connection, reviews.skip, _reviewer(caller), id)
    if note.tone == "good" and action != SKIP:
        await log_action(state, caller, audit.LABELLED, job_id=id)
    return await _show_next(request, caller, state, feature, note)


def _store(
    connection: Any, reviewer: Reviewer, job_id: UUID, action: str, form: Mapping[str, str]
) -> Note:
    if action == SKIP:
        reviews.skip(connection, reviewer, job_id)
        return Note(_NOTES[SKIP], "quiet")
    if action not in _NOTES:
        raise Refused("bad-request", "open the page again and repeat it")
    rows = read_jobs.jobs_of(connection, reviewer.account_id, [job_id])
    if not rows:
        raise NotFound(f"there is no job {job_id}")
    label = AnswerFeedback(correct=action == RIGHT)
    if action == CORRECT:
        version = version_of(connection, rows[0]["feature"], rows[0]["feature_version"])
        output = rows[0]["output"]
        fields = schema_form.fields_of(version.document["output"], output)
        label = AnswerFeedback(expected=schema_form.read_form(fields, form, output))
        if label.expected is None:
            raise InvalidInput([Problem("say what is right", "/expected")])
    comment = form.get("comment", "").strip()
    if comment:
        label = replace(label, comment=comment[:4000])
    if not reviews.label(connection, reviewer, job_id, label):
        return Note(_REPEATED, "quiet")
    return Note(_NOTES[action])


async def _show_next(
    request: Request,
    caller: Caller,
    state: State,
    feature: str,
    note: Note | None = None,
    typed: Typed | None = None,
    status: int = 200,
) -> Response:
    answer = await _next(state, caller, feature)
    if answer is None:
        return page(request, "review_done.html", feature=feature, note=note)
    if typed is not None and typed.job_id != answer.review.job_id:
        typed, status = None, 409
        note = Note("another person has this answer now: yours was not stored", "warn")
    row, document = answer.row, answer.feature
    output = row["output"]
    shown_fields: list[schema_form.Shown] = []
    if document is not None:
        fields = schema_form.fields_of(document.output_schema, output)
        shown_fields = schema_form.shown(fields, output, None if typed is None else typed.fields)
    counts = await run_in_threadpool(state.with_connection, reviews.open_counts, _reviewer(caller))
    return page(
        request,
        "review_answer.html",
        status,
        review=answer.review,
        job=job_for(caller, row),
        feature=feature,
        input=parts_of(answer.input, answer.values, row["created_at"]),
        output=None if output is None else parts_of(output),
        values=answer.values,
        fields=shown_fields,
        problems=() if typed is None else typed.problems,
        left=sum(one.for_me for one in counts if feature in ("", one.feature)),
        note=note,
    )


async def _next(state: State, caller: Caller, feature: str) -> Answer | None:
    """The next answer, after its look is logged."""
    reviewer = _reviewer(caller)
    for _ in range(MOST_GONE):
        review = await run_in_threadpool(
            state.with_connection, reviews.take_next, reviewer, feature or None
        )
        if review is None:
            return None
        try:
            job_request = await audit.show_request(
                state.pool, caller.account_id, caller.key_id, review.job_id
            )
            return await run_in_threadpool(
                state.with_connection, _answer, caller, review, job_request["input"]
            )
        except NotFound:  # the job is gone
            await run_in_threadpool(state.with_connection, reviews.skip, reviewer, review.job_id)
    return None


def _answer(connection: Any, caller: Caller, review: OpenReview, input: JSON) -> Answer:
    rows = read_jobs.jobs_of(connection, caller.account_id, [review.job_id])
    if not rows:
        raise NotFound(f"there is no job {review.job_id}")
    row = rows[0]
    try:
        feature = version_of(connection, row["feature"], row["feature_version"]).read()
    except UnreadableFeature:
        return Answer(review, row, input, None, [])
    values = grounded_values(feature.checks, input, row["output"], row["created_at"])
    return Answer(review, row, input, feature, values)


def _reviewer(caller: Caller) -> Reviewer:
    return Reviewer(caller.account_id, caller.key_id)


def _page_of(feature: str) -> str:
    return f"{CONSOLE}/review?{urlencode({'feature': feature})}"


def _feature(form: Mapping[str, str]) -> str:
    name = form.get("feature", "").strip()
    if len(name) > MOST_NAME or not (name.isprintable() and name.isascii()):
        raise InvalidInput([Problem("is the name of a feature", "?feature")])
    return name


def _count(form: Mapping[str, str]) -> int:
    text = form.get("count", "").strip()
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_DRAWN):
        raise InvalidInput([Problem(f"is a number from 1 to {MOST_DRAWN}", "?count")])
    return int(text)


def _second_share(form: Mapping[str, str]) -> float:
    text = form.get("second", "").strip() or "0"
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= 100):
        raise InvalidInput([Problem("is a percentage from 0 to 100", "?second")])
    return int(text) / 100
