"""A job's fields: declared once, read from the columns, and described to whoever submits."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from tierline.base.errors import InvalidInput
from tierline.rules.jobs import Status
from tierline.services.jobs.submitting.submission import read_submission
from tierline.storage.db.columns import columns
from tierline.storage.jobs.job_reads import JOB_COLUMNS
from tierline.views.jobs.jobs import JobRow, NewJob, job_view, new_job_row, waiting_for
from tierline.views.jobs.tokens import TOKENS, TokenUsage

NOW = datetime(2026, 11, 30, tzinfo=UTC)
NOTHING = dict.fromkeys(JobRow.__annotations__) | {"status": "queued"}
FIRST = {"feature": "echo", "input": {"text": "x"}}


def test_every_field_of_a_jobs_row_is_read_from_a_column() -> None:
    names = [part.rsplit(" AS ", 1)[1] for part in JOB_COLUMNS.split(", ") if " AS " in part]
    assert names == list(JobRow.__annotations__)


def test_a_column_that_the_row_does_not_have_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="JobRow has no field nothing"):
        columns(JobRow, "j", {"nothing": "1"})


def test_the_tokens_that_are_read_are_those_that_are_shown() -> None:
    assert tuple(TokenUsage.model_fields) == TOKENS


def test_the_row_of_a_new_job_has_every_field() -> None:
    row = new_job_row(
        UUID(int=1),
        feature="echo",
        feature_version=1,
        tier="slm",
        place=0,
        own_label=None,
        metadata=None,
        user=None,
        session=None,
        created_at=datetime(2026, 11, 30, tzinfo=UTC),
    )
    assert set(row) == set(JobRow.__annotations__)
    assert job_view(row, content=True).status == "queued"


@pytest.mark.parametrize(
    ("more", "fits"),
    [
        ({}, True),
        ({"metadata": None, "user": None, "deadline_s": None}, True),
        ({"user": "u" * 255, "session": "s", "deadline_s": 2_592_000}, True),
        ({"user": ""}, False),
        ({"session": "s" * 256}, False),
        ({"user": 5}, False),
        ({"deadline_s": 0}, False),
        ({"deadline_s": 2_592_001}, False),
        ({"feature": 5}, False),
        ({"priority": 1}, False),
    ],
)
def test_what_the_document_says_of_a_new_job_is_what_is_taken(
    more: dict[str, Any], fits: bool
) -> None:
    body = {**FIRST, **more}
    for reads, refuses in (
        (NewJob.model_validate, ValidationError),
        (read_submission, InvalidInput),
    ):
        if fits:
            reads(body)
        else:
            with pytest.raises(refuses):
                reads(body)


@pytest.mark.parametrize("missing", FIRST)
def test_a_new_job_needs_its_feature_and_its_input(missing: str) -> None:
    body = {name: value for name, value in FIRST.items() if name != missing}
    with pytest.raises(ValidationError):
        NewJob.model_validate(body)
    with pytest.raises(InvalidInput):
        read_submission(body)


@pytest.mark.parametrize(
    ("facts", "kind", "words"),
    [
        ({}, "place", "a place in the queue"),
        ({"hinted": True}, "worker", "a worker has it next"),
        ({"paused": True}, "paused", "its batch is paused"),
        ({"paused": True, "hinted": True}, "worker", "a worker has it next"),
        ({"held_by": "openai:gpt-5: key refused"}, "model", "openai:gpt-5: key refused"),
        (
            {"not_before": NOW, "last_verdict": "budget", "last_reason": "in use by other calls"},
            "budget",
            "in use by other calls",
        ),
        (
            {"not_before": NOW, "last_verdict": "rate_limited", "last_reason": "429"},
            "retry",
            "the next try after rate_limited: 429",
        ),
        # what a check says may quote the answer
        ({"not_before": NOW, "last_verdict": "rule", "last_reason": "quote"}, "retry", "next try"),
        # an attempt that ended before says nothing about why the job waits now
        ({"last_verdict": "rate_limited", "last_reason": "429"}, "place", "a place in the queue"),
    ],
)
def test_a_queued_job_says_what_it_waits_for(facts: dict[str, Any], kind: str, words: str) -> None:
    waits = waiting_for({**NOTHING, **facts})
    assert waits is not None
    assert waits["kind"] == kind
    assert words in waits["message"]
    assert "quote" not in waits["message"]
    assert waits["until"] == facts.get("not_before")


def test_a_job_that_runs_or_has_ended_waits_for_nothing() -> None:
    for status in Status:
        waits = waiting_for({**NOTHING, "status": status.value})
        assert (waits is None) == (status is not Status.QUEUED)
