"""Identifiers, and the clock that they take their time from."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from tierline.base import ids
from tierline.base.ids import database_now, first_id_of, new_id, set_clock, steady_ns, time_of

FAR = datetime(2031, 5, 1, tzinfo=UTC)
SOON = timedelta(seconds=30)


@pytest.fixture(autouse=True)
def fresh_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not asked Postgres yet."""
    monkeypatch.setattr(ids, "clock", ids.Clock())


def test_ids_are_of_version_7_and_in_the_order_of_time() -> None:
    first = new_id()
    assert (first.version, first.variant) == (7, "specified in RFC 4122")
    assert first_id_of(time_of(first), timedelta(0)) < first


def test_a_process_that_forks_has_other_ids() -> None:
    new_id()  # more random bytes are ready now
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, new_id().bytes)
        os._exit(0)
    os.waitpid(child, 0)
    theirs, ours = os.read(reader, 16), new_id().bytes
    os.close(reader), os.close(writer)
    assert len(theirs) == 16
    assert theirs[8:] != ours[8:]


def test_before_postgres_was_asked_the_time_is_that_of_the_process() -> None:
    assert abs(time_of(new_id()) - datetime.now(UTC)) < SOON


def test_afterwards_the_time_is_that_of_postgres() -> None:
    set_clock(FAR, steady_ns())
    for at in (time_of(new_id()), database_now()):
        assert FAR <= at + timedelta(milliseconds=1) < FAR + SOON


def test_a_clock_that_is_set_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(FAR, steady_ns())
    monkeypatch.setattr(ids.time, "time_ns", lambda: 0)
    assert time_of(new_id()) < FAR + SOON


def test_the_answer_is_taken_as_of_the_middle_of_the_round_trip() -> None:
    set_clock(FAR, steady_ns() - 20_000_000_000)
    assert FAR + timedelta(seconds=9) < database_now() < FAR + timedelta(seconds=10) + SOON
