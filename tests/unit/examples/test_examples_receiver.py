"""The example webhook receiver: what it accepts, rejects and prints."""

import http.client
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from examples.receiver import MAX_BODY_BYTES, Event, Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = json.dumps(
    {"type": "job.completed", "data": {"id": "job_1", "status": "completed", "output": "secret"}}
)


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def receiver(events: list[Event]) -> Iterator[Receiver]:
    with Receiver(SECRET, events.append) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def post(receiver: Receiver, body: str, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", receiver.server_address[1], timeout=20)
    try:
        connection.request("POST", "/", body.encode(), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def signed(body: str, at: datetime | None = None, webhook_id: str = "msg_1") -> dict[str, str]:
    when = at or datetime.now(UTC)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(when.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(webhook_id, when, body),
    }


def test_a_signed_event_is_handed_on_and_answered_204(
    receiver: Receiver, events: list[Event]
) -> None:
    assert post(receiver, BODY, signed(BODY)) == 204
    assert [(event.type, event.again) for event in events] == [("job.completed", False)]


def test_the_same_webhook_id_again_is_accepted_and_marked(
    receiver: Receiver, events: list[Event]
) -> None:
    assert [post(receiver, BODY, signed(BODY)) for _ in range(2)] == [204, 204]
    assert [event.again for event in events] == [False, True]


def test_one_good_signature_among_several_is_enough(
    receiver: Receiver, events: list[Event]
) -> None:
    headers = signed(BODY)
    headers["webhook-signature"] = "v1,AAAA " + headers["webhook-signature"]
    assert post(receiver, BODY, headers) == 204
    assert len(events) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(BODY + " "),
        {**signed(BODY), "webhook-signature": "nonsense"},
        {**signed(BODY), "webhook-signature": "v1,é"},
        {**signed(BODY), "webhook-timestamp": "soon"},
        signed(BODY, datetime.now(UTC) - timedelta(minutes=10)),
    ],
    ids=["unsigned", "other body", "malformed", "not base64", "bad time", "too old"],
)
def test_an_event_that_does_not_verify_is_400_and_not_handed_on(
    receiver: Receiver, events: list[Event], headers: dict[str, str]
) -> None:
    assert post(receiver, BODY, headers) == 400
    assert events == []
    assert receiver.rejected == 1


@pytest.mark.parametrize("body", ["[]", "not json"])
def test_a_signed_body_that_is_no_event_is_400(
    receiver: Receiver, events: list[Event], body: str
) -> None:
    assert post(receiver, body, signed(body)) == 400
    assert events == []


def test_a_body_over_the_limit_is_413_without_being_read(receiver: Receiver) -> None:
    assert post(receiver, "", {"Content-Length": str(MAX_BODY_BYTES + 1)}) == 413


def test_an_events_line_tells_what_happened_and_never_the_output() -> None:
    line = Event("msg_1", "job.completed", json.loads(BODY), again=True).line()
    assert line == "job.completed id=job_1 status=completed webhook-id=msg_1 (again)"


def test_a_secret_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        Receiver("whsec_", lambda event: None)
