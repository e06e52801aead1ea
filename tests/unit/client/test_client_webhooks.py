"""Webhooks: what is signed is read by its type, and nothing else is accepted."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from tierline.webhooks.events import EVENTS
from tierline_client import BadSignature, BatchEvent, BudgetEvent, JobEvent, Misconfigured, Webhooks
from tierline_client.webhook_models import OtherEvent

SECRET = "whsec_c2VjcmV0LW9mLTI0LWJ5dGVzLWhlcmU="
JOB = {
    **{"id": "j-1", "feature": "echo", "feature_version": 1, "status": "completed"},
    **{"status_label": None, "tier": "slm", "escalated": False, "unverified": False},
    **{"blocked_reason": None, "batch_id": None, "custom_id": None, "metadata": None},
    **{"created_at": "2026-03-01T12:00:00Z", "completed_at": "2026-03-01T12:00:01Z"},
    **{"url": "/v1/jobs/j-1", "attempts_url": "/v1/jobs/j-1/attempts"},
}


def signed(kind: str, data: Any, age: timedelta = timedelta(0)) -> tuple[dict[str, str], bytes]:
    at = datetime.now(UTC) - age
    body = json.dumps({"type": kind, "timestamp": at.isoformat(), "data": data})
    headers = {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": Webhook(SECRET).sign("msg_1", at, body),
    }
    return headers, body.encode()


def test_a_jobs_event_is_typed() -> None:
    event = Webhooks(SECRET).verify(*signed("job.completed", {**JOB, "output": {"a": 1}}))
    assert isinstance(event, JobEvent)
    assert (event.webhook_id, event.data.id, event.data.output) == ("msg_1", "j-1", {"a": 1})


def test_the_headers_may_be_pairs() -> None:
    headers, body = signed("job.completed", JOB)
    assert Webhooks(SECRET).verify(list(headers.items()), body).type == "job.completed"


def test_each_kind_of_event_is_read() -> None:
    batch = {
        **{"id": "b", "feature": "echo", "feature_version": 1, "status": "completed"},
        **{"counts": {"completed": 3}, "bad_rows": 0, "metadata": None},
        **{"created_at": "2026-03-01T12:00:00Z", "completed_at": None},
    }
    budget = {
        **{"percent": 80, "scope": "account", "key": "", "period": "day"},
        **{"limit_usd": "1", "spent_usd": "0.8", "resets_at": "2026-03-01T12:00:00Z"},
    }
    bodies = {"batch.completed": (batch, BatchEvent), "budget.alert": (budget, BudgetEvent)}
    for kind in (*EVENTS, "endpoint.test", "of.a.later.release"):
        usual = (JOB, JobEvent) if kind.startswith("job.") else ({"any": 1}, OtherEvent)
        data, expected = bodies.get(kind, usual)
        assert type(Webhooks(SECRET).verify(*signed(kind, data))) is expected


def test_what_was_changed_or_is_old_is_refused() -> None:
    headers, body = signed("job.completed", JOB)
    for wrong in (
        (headers, body.replace(b"j-1", b"j-2")),
        ({**headers, "Webhook-Id": "msg_2"}, body),
        signed("job.completed", JOB, timedelta(hours=1)),
    ):
        with pytest.raises(BadSignature):
            Webhooks(SECRET).verify(*wrong)
    with pytest.raises(BadSignature, match="no header webhook-id"):
        Webhooks(SECRET).verify({}, body)
    other = "whsec_" + "b3RoZXItc2VjcmV0LW9mLTI0LWJ5dGVz"
    with pytest.raises(BadSignature):
        Webhooks(SECRET).verify(headers, body, other)


def test_a_secret_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    headers, body = signed("job.completed", JOB)
    monkeypatch.delenv("TIERLINE_WEBHOOK_SECRET", raising=False)
    with pytest.raises(Misconfigured, match="TIERLINE_WEBHOOK_SECRET"):
        Webhooks().verify(headers, body)
    monkeypatch.setenv("TIERLINE_WEBHOOK_SECRET", SECRET)
    assert Webhooks().verify(headers, body).type == "job.completed"
