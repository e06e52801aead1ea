"""A cursor leads to the page behind its row, and nothing else is taken for one."""

import base64
from typing import Any, cast

import pytest

from api.parameters.cursors import (
    read_cursor,
    read_job_cursor,
    read_job_page,
    write_cursor,
    write_job_cursor,
)
from tierline.base.errors import InvalidInput
from tierline.base.ids import new_id
from tierline.services.jobs.read_jobs import Before
from tierline.views.jobs.jobs import JobRow


def job(seq: int) -> JobRow:
    return cast(JobRow, {"seq": seq, "id": new_id()})


def test_a_cursor_of_jobs_tells_the_number_and_the_id_of_the_last_job() -> None:
    last = job(10**17)
    assert read_job_cursor(write_job_cursor(last["seq"], last["id"])) == Before(
        last["seq"], last["id"]
    )


def test_a_cursor_of_the_release_before_still_leads_to_its_page() -> None:
    assert read_job_cursor(write_cursor(7)) == Before(7)


def test_no_cursor_is_the_first_page() -> None:
    assert read_job_cursor(None) is None
    assert read_cursor(None) is None


def test_a_page_has_a_cursor_if_there_is_more() -> None:
    jobs = [job(3), job(2), job(1)]

    def read(before: Before | None, most: int) -> list[JobRow]:
        return [one for one in jobs if before is None or one["seq"] < before.seq][:most]

    page, cursor = read_job_page(None, 2, read)
    assert list(page) == jobs[:2]
    assert cursor is not None
    assert read_job_page(cursor, 2, read) == (jobs[2:], None)


@pytest.mark.parametrize(
    "plain",
    [
        *("", "s", "j", "x1", "s1.2", "j1", "j1.", "j.00", "j1." + "g" * 32, "j1." + "0" * 31),
        *("s" + "9" * 19, "j" + "9" * 19 + "." + "0" * 32, "s\N{ARABIC-INDIC DIGIT ONE}"),
    ],
)
@pytest.mark.parametrize("read", [read_cursor, read_job_cursor])
def test_another_text_is_no_cursor(read: Any, plain: str) -> None:
    text = base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")
    with pytest.raises(InvalidInput):
        read(text)


@pytest.mark.parametrize("text", ["!", "\N{SNOWMAN}", "a"])
def test_what_is_not_base64_is_no_cursor(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_job_cursor(text)
