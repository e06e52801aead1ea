"""Batches in the console: the list, a batch's page, a new one from a file."""

import json
import re
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.api.browser import Browser, SignIn, text_of
from tests.support.api.served import Api
from tests.support.database.rows import end_job
from tierline.base.ids import new_id

Connection = psycopg.Connection[Any]
SECRET = "zq-only-when-asked-for"
CSV = f"text,custom_id\n{SECRET},a-1\nsecond,a-2\n"


def send(browser: Browser, content: str | bytes, name: str = "x.csv") -> httpx.Response:
    """Upload a file on the page of a new batch."""
    return browser.http.post(
        "/console/batches/new",
        data={"csrf": browser.token(), "feature": "echo"},
        files={"file": (name, content, "text/csv")},
        headers={"Origin": browser.url},
    )


def fields_of(page: str, action: str) -> dict[str, str]:
    """The fields of the form that is sent to `action`."""
    (form,) = re.findall(rf'<form method="post" action="{action}">(.*?)</form>', page, re.DOTALL)
    fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form))
    fields.pop("csrf")
    return fields


def logged(rows: Connection, count: int = 1) -> list[str]:
    found = rows.execute("SELECT action FROM audit_log ORDER BY id DESC LIMIT %s", (count,))
    return [str(action) for (action,) in found.fetchall()]


@pytest.fixture
def batch(api: Api, rows: Connection) -> str:
    """A sealed batch with a completed, a failed and a waiting job, and an invalid row."""
    made: str = api.post("/v1/batches", json={"feature": "echo"}).json()["id"]
    lines = [json.dumps({"input": {"text": text}}) for text in (SECRET, "b", "c")]
    body = "\n".join([*lines, '{"input": {}}'])
    kind = {"Content-Type": "application/x-ndjson"}
    sent = api.send("PUT", f"/v1/batches/{made}/parts/1", content=body, headers=kind)
    assert sent.status_code == 201, sent.text
    api.post(f"/v1/batches/{made}/seal", json={"parts": 1})
    found = rows.execute("SELECT id FROM jobs WHERE batch_id = %s ORDER BY batch_row", (made,))
    jobs = [str(job) for (job,) in found.fetchall()]
    end_job(rows, jobs[0])
    end_job(rows, jobs[1], "failed")
    rows.execute(
        "UPDATE jobs SET error_code = 'checks_failed', error_message = 'no <total>' WHERE id = %s",
        (jobs[1],),
    )
    return made


def test_an_empty_list_says_what_to_do(signed_in: SignIn, rows: Connection, other: Api) -> None:
    page = signed_in("submit", "read", account="other").get("/console/batches")
    assert "There are no batches yet" in text_of(page)
    assert "/console/batches/new" in page.text


def test_the_list_and_a_batchs_page_show_its_progress_cost_and_errors(
    signed_in: SignIn, batch: str
) -> None:
    browser = signed_in("read")
    text = text_of(browser.get("/console/batches"))
    assert "◐ running echo v1 4 (1 invalid)" in text
    assert "67%" in text
    page = browser.get(f"/console/batches/{batch}")
    text = text_of(page)
    assert "Jobs ended 2 of 3" in text
    assert "Cost so far $0.000250" in text
    assert "Cost to come about $0.000125" in text
    assert "checks failed 1 no <total>" in text
    assert "invalid row 1 /input" in text
    assert SECRET not in page.text


def test_results_are_downloaded_and_each_look_is_logged(
    signed_in: SignIn, batch: str, rows: Connection
) -> None:
    browser = signed_in("read")
    output = browser.post(f"/console/batches/{batch}/output")
    assert "attachment" in output.headers["content-disposition"]
    assert [json.loads(line)["status"] for line in output.text.splitlines()] == [
        *("completed", "failed", "queued", "invalid"),
    ]
    errors = browser.post(f"/console/batches/{batch}/errors")
    assert len(errors.text.splitlines()) == 2
    assert logged(rows, 2) == ["batch.content_shown"] * 2


def test_a_runaway_batch_is_cancelled(
    signed_in: SignIn, batch: str, api: Api, rows: Connection
) -> None:
    browser = signed_in("submit", "read")
    assert browser.post(f"/console/batches/{batch}/cancel").status_code == 303
    found = api.get(f"/v1/batches/{batch}").json()
    assert found["status"] == "cancelled"
    assert found["counts"]["cancelled"] == 1
    assert logged(rows) == ["batch.cancel_asked"]
    assert "Cancel the batch" not in browser.get(f"/console/batches/{batch}").text


def test_a_batch_is_paused_and_resumed(
    signed_in: SignIn, batch: str, api: Api, rows: Connection
) -> None:
    browser = signed_in("submit", "read")
    assert browser.post(f"/console/batches/{batch}/pause").status_code == 303
    text = text_of(browser.get(f"/console/batches/{batch}"))
    assert "‖ paused" in text
    assert "no other begins until the batch is resumed" in text
    assert "‖ paused" in text_of(browser.get("/console/batches"))
    assert api.get(f"/v1/batches/{batch}").json()["paused_at"] is not None
    assert browser.post(f"/console/batches/{batch}/resume").status_code == 303
    assert "‖ paused" not in text_of(browser.get(f"/console/batches/{batch}"))
    assert logged(rows, 2) == ["batch.resumed", "batch.paused"]


def test_a_file_becomes_a_batch_in_two_steps(signed_in: SignIn, api: Api, rows: Connection) -> None:
    browser = signed_in("submit", "read")
    before = rows.execute("SELECT count(*) FROM jobs").fetchone()
    answer = send(browser, CSV)
    assert answer.status_code == 303, answer.text
    page = browser.get(answer.headers["location"])
    assert "All 2 rows are valid" in text_of(page)
    assert SECRET in page.text, "the first rows are shown as their jobs get them"
    assert rows.execute("SELECT count(*) FROM jobs").fetchone() == before, "nothing runs yet"
    place = answer.headers["location"].partition("?")[0]
    fields = fields_of(page.text, f"{place}/start")
    started = browser.post(f"{place}/start", fields)
    assert started.status_code == 303, started.text
    batch = started.headers["location"].rpartition("/")[2]
    stored = api.get(f"/v1/batches/{batch}").json()
    assert (stored["status"], stored["rows"], stored["bad_rows"]) == ("sealed", 2, 0)
    assert logged(rows, 2) == ["batch.started", "batch.file_uploaded"]
    assert rows.execute("SELECT count(*) FROM uploads").fetchone() == (0,)
    assert browser.post(f"{place}/start", fields).status_code == 404, "it was started"


def test_the_mapping_shows_invalid_rows_before_anything_runs(signed_in: SignIn) -> None:
    browser = signed_in("submit", "read")
    place = send(browser, "body\nhello\n").headers["location"]
    page = browser.get(place)
    assert "1 of 1 row is invalid" in text_of(page)
    assert "/start" not in page.text
    mapped = browser.get(f"{place}&map:text=body")
    assert "The only row is valid" in text_of(mapped)
    assert browser.get(f"{place}&map:text=nothing").status_code == 422
    assert browser.post(f"{place.partition('?')[0]}/remove").status_code == 303
    assert browser.get(place).status_code == 404


def test_another_keys_file_is_not_found(signed_in: SignIn) -> None:
    browser = signed_in("submit", "read")
    place = send(browser, CSV).headers["location"]
    assert signed_in("operator").get(place).status_code == 404
    assert browser.post(f"{place.partition('?')[0]}/remove").status_code == 303


@pytest.mark.parametrize("content", ["", "text\n", "text,text\na,b\n", b"text\n\xff\n"])
def test_a_file_that_cannot_be_read_is_refused(signed_in: SignIn, content: str | bytes) -> None:
    assert send(signed_in("submit", "read"), content).status_code == 422


def test_a_file_from_another_site_or_session_is_refused(signed_in: SignIn) -> None:
    browser = signed_in("submit", "read")
    sent = {"feature": "echo"}
    file = {"file": ("x.csv", CSV, "text/csv")}
    own = {"Origin": browser.url}
    evil = {"Origin": "https://evil.example.com"}
    for csrf, headers in (("0" * 64, own), (browser.token(), evil), ("", own)):
        answer = browser.http.post(
            "/console/batches/new", data={**sent, "csrf": csrf}, files=file, headers=headers
        )
        assert answer.status_code == 403


def test_a_column_with_a_space_in_its_name_can_be_chosen(signed_in: SignIn) -> None:
    browser = signed_in("submit", "read")
    place = send(browser, "text, number\nhello, 1\n").headers["location"]
    assert '<option value=" number">' in browser.get(place).text, "a browser strips a text"
    page = browser.get(f"{place}&map:text=text&id=+number")
    assert "The only row is valid" in text_of(page)
    browser.post(f"{place.partition('?')[0]}/remove")


def test_an_account_keeps_few_files_and_each_for_an_hour(
    signed_in: SignIn, rows: Connection
) -> None:
    browser = signed_in("submit", "read")
    try:
        for _ in range(5):
            assert send(browser, CSV).status_code == 303
        assert send(browser, CSV).status_code == 429
    finally:
        rows.execute("DELETE FROM uploads")


@pytest.mark.parametrize("action", ["", "/cancel", "/output", "/errors"])
def test_another_accounts_batch_is_not_found(signed_in: SignIn, other: Api, action: str) -> None:
    theirs = other.post("/v1/batches", json={"feature": "echo"}).json()["id"]
    browser = signed_in("operator")
    for batch in (theirs, str(new_id()), "nonsense"):
        path = f"/console/batches/{batch}{action}"
        answer = browser.post(path) if action else browser.get(path)
        assert answer.status_code == 404
