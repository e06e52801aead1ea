"""Webhooks in OpenAI's form: the official client verifies and reads them."""

import json
from datetime import UTC, datetime
from typing import Any

import openai
import pytest
from openai.types import webhooks
from pydantic import BaseModel

from tests.support.samples.job_rows import AT, JOB_ID
from tierline.base.ids import new_id
from tierline.webhooks.events import EVENTS, JobFacts, job_body
from tierline.webhooks.openai_form import openai_body
from tierline.webhooks.sign import new_secret, signed_headers

SECRET = new_secret()
RESPONSES = {
    "job.completed": webhooks.ResponseCompletedWebhookEvent,
    "job.failed": webhooks.ResponseFailedWebhookEvent,
    "job.expired": webhooks.ResponseFailedWebhookEvent,
    "job.cancelled": webhooks.ResponseCancelledWebhookEvent,
}


def body(event: str, *, incomplete: bool = False) -> bytes:
    facts = JobFacts(
        id=JOB_ID,
        feature="echo",
        feature_version=1,
        status=event.partition(".")[2],
        status_label=None,
        tier="slm",
        unverified=False,
        blocked_reason=None,
        escalation_reason=None,
        batch_id=None,
        custom_id=None,
        metadata={"name": "Zoë"},
        created_at=AT,
        completed_at=AT,
        output=None,
        error_code=None,
        error_message=None,
    )
    ours = job_body(event, AT, facts, frozenset())
    return openai_body(ours, new_id(), 1_772_000_000, job_id=JOB_ID, incomplete=incomplete)


def unwrapped(sent: bytes, secret: str = SECRET) -> Any:
    headers = signed_headers("msg_1", sent, datetime.now(UTC), secret)
    with openai.OpenAI(api_key="none", webhook_secret=SECRET) as client:
        return client.webhooks.unwrap(sent, dict(headers))


@pytest.mark.parametrize(("event", "kind"), RESPONSES.items())
def test_the_client_unwraps_the_end_of_a_job(event: str, kind: type[BaseModel]) -> None:
    event_object = unwrapped(body(event))
    assert isinstance(event_object, kind)
    kind.model_validate(json.loads(body(event)))
    assert event_object.data.id == f"resp_{JOB_ID.hex}"  # type: ignore[attr-defined]
    assert json.loads(body(event))["data"]["tierline"]["metadata"] == {"name": "Zoë"}


def test_an_answer_that_was_cut_off_is_incomplete() -> None:
    event_object = unwrapped(body("job.failed", incomplete=True))
    assert isinstance(event_object, webhooks.ResponseIncompleteWebhookEvent)


@pytest.mark.parametrize("event", sorted(set(EVENTS) - set(RESPONSES)))
def test_an_event_of_ours_is_passed_on_under_its_own_name(event: str) -> None:
    assert unwrapped(body(event)).type == event


def test_a_wrong_signature_is_refused() -> None:
    with pytest.raises(openai.InvalidWebhookSignatureError):
        unwrapped(body("job.completed"), secret=new_secret())
