"""Server-sent events, however their bytes are cut."""

import pytest

from tierline_client.sse import EventParser, ServerEvent

STREAM = (
    "retry: 1000\n\n"
    'id: 0\nevent: job.queued\ndata: {"a": "\u2028é"}\n\n'
    ": heartbeat\n\n"
    "event: two\r\ndata: first\r\ndata:second\r\n\r\n"
    "data: no name\n\n"
    "event: no data\n\n"
).encode()
EVENTS = [
    ServerEvent("job.queued", '{"a": "\u2028é"}', "0"),
    ServerEvent("two", "first\nsecond", "0"),
    ServerEvent("message", "no name", "0"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_read_from_any_chunks(size: int) -> None:
    parser = EventParser()
    chunks = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    assert [event for chunk in chunks for event in parser.feed(chunk)] == EVENTS


def test_an_event_that_was_cut_off_is_none() -> None:
    assert list(EventParser().feed(b"id: 1\nevent: a\ndata: {}\n")) == []
