"""The list of jobs, a job's page, its content, and what a person may do with it."""

import json
import re
from typing import Any

import psycopg
import pytest

from tests.support.api.browser import SignIn, text_of
from tests.support.api.served import Api
from tests.support.database.rows import end_job
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id

Connection = psycopg.Connection[Any]

SECRET = "zq-only-when-asked-for"
HOSTILE = {
    "html": '<script>alert(1)</script><img src=x onerror="alert(1)">',
    "svg": '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><a href="javascript:1">x</a>',
    "template": "{{ caller.account }}{% include 'base.html' %}",
    "attribute": "\"' onmouseover=alert(1) x='",
    "bidi": "abc\u202egnp.exe\u2066x",
    "ansi": "\x1b[31mred\x1b]8;;https://evil.example.com\x07link",
}


def ended(api: Api, rows: Connection, status: str = "completed", **more: Any) -> str:
    job = str(api.submit(**more)["id"])
    end_job(rows, job, status)
    return job


def actions(rows: Connection, job: str) -> list[str]:
    entries = rows.execute("SELECT action FROM audit_log WHERE job_id = %s ORDER BY id", (job,))
    return [str(action) for (action,) in entries.fetchall()]


def test_the_list_has_the_accounts_jobs_and_no_others(
    signed_in: SignIn, api: Api, other: Api
) -> None:
    mine, theirs = api.submit()["id"], other.submit()["id"]
    page = signed_in("read").get("/console/jobs").text
    assert mine in page
    assert theirs not in page


def test_the_list_is_filtered_and_goes_on(signed_in: SignIn, api: Api, rows: Connection) -> None:
    failed, completed = ended(api, rows, "failed"), ended(api, rows)
    browser = signed_in("read")
    page = browser.get("/console/jobs?status=failed&feature=echo&tier=slm&batch=").text
    assert failed in page
    assert completed not in page
    for _ in range(60):
        api.submit()
    first = browser.get("/console/jobs?feature=echo").text
    (older,) = re.findall(r'rel="next" href="(/console/jobs\?[^"]+)"', first)
    second = browser.get(older.replace("&amp;", "&"))
    assert second.status_code == 200
    ids = re.compile(r'href="/console/jobs/([0-9a-f-]{36})"')
    assert len(ids.findall(first)) == 50
    assert not set(ids.findall(first)) & set(ids.findall(second.text))


def test_an_empty_list_says_what_to_do(signed_in: SignIn) -> None:
    page = signed_in("read").get("/console/jobs?feature=nothing")
    assert "No job matches" in text_of(page)


@pytest.mark.parametrize(
    "query", ["cursor=x", "status=done", "batch=1", "tier=%00", "cursor=czE%00"]
)
def test_a_bad_filter_or_a_forged_cursor_is_refused_on_a_page(
    signed_in: SignIn, query: str
) -> None:
    answer = signed_in("read").get(f"/console/jobs?{query}")
    assert answer.status_code == 422
    assert "text/html" in answer.headers["content-type"]


def test_a_jobs_page_shows_its_road_and_not_its_content(
    signed_in: SignIn, api: Api, rows: Connection
) -> None:
    job = ended(api, rows, text=SECRET, metadata={"note": SECRET}, user=SECRET)
    rows.execute(
        "UPDATE answers SET text = %s, output = %s WHERE job_id = %s",
        (SECRET, json.dumps({"text": SECRET}), job),
    )
    page = signed_in("read").get(f"/console/jobs/{job}")
    text = text_of(page)
    assert "Attempt 1 ● slm ✓ passed" in text
    assert "small-1" in text
    assert "$0.000125" in text
    assert SECRET not in page.text
    assert actions(rows, job) == []


def test_content_is_shown_when_it_is_asked_for_and_each_look_is_logged(
    signed_in: SignIn, api: Api, rows: Connection
) -> None:
    job = ended(api, rows, text=f"in {SECRET}")
    browser = signed_in("read")
    for looks in (1, 2):
        page = browser.post(f"/console/jobs/{job}/content")
        assert page.status_code == 200
        assert f"in {SECRET}" in text_of(page)
        assert actions(rows, job) == ["job.content_shown"] * looks
    assert page.headers["cache-control"] == "no-store"
    assert "looked at input and output" in text_of(browser.get(f"/console/jobs/{job}"))


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_texts_are_shown_as_text_only(
    signed_in: SignIn, api: Api, rows: Connection, kind: str
) -> None:
    hostile = HOSTILE[kind]
    job = ended(api, rows, "failed", text=hostile, metadata={"note": hostile})
    rows.execute(
        "UPDATE answers SET text = %s, output = %s WHERE job_id = %s",
        (hostile, json.dumps({"text": hostile}), job),
    )
    rows.execute(
        "UPDATE jobs SET error_code = 'checks_failed', error_message = %s,"
        " escalation_reason = %s WHERE id = %s",
        (hostile, hostile, job),
    )
    rows.execute(
        "UPDATE attempts SET reason = %s, verdict = 'rule', routing = %s WHERE job_id = %s",
        (hostile, json.dumps({"policy": hostile, "reason": hostile}), job),
    )
    rows.execute(
        "UPDATE calls SET error = %s, answered_model = %s WHERE job_id = %s",
        (hostile, hostile, job),
    )
    browser = signed_in("read")
    for page in (
        browser.get(f"/console/jobs/{job}"),
        browser.post(f"/console/jobs/{job}/content"),
        browser.get("/console/jobs"),
    ):
        assert page.status_code == 200
        assert "<script>" not in page.text
        assert not re.search(r"<(?:img src=x|svg xmlns|a href=.javascript)", page.text)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page.text)
        assert not re.search(r"<[^>]*\son[a-z]+=", page.text)
        assert page.text.count("<main") == 1


def test_a_text_of_a_megabyte_is_cut_and_the_page_stays_light(
    signed_in: SignIn, api: Api, rows: Connection
) -> None:
    job = ended(api, rows, text="é" * 400_000)
    rows.execute("UPDATE answers SET text = %s WHERE job_id = %s", ("x" * 1_000_000, job))
    rows.execute("UPDATE attempts SET reason = %s WHERE job_id = %s", ("y" * 1_000_000, job))
    browser = signed_in("read")
    page = browser.post(f"/console/jobs/{job}/content")
    assert "more characters are left out" in text_of(page)
    assert len(page.content) < 150_000
    assert len(browser.get(f"/console/jobs/{job}").content) < 150_000


@pytest.mark.parametrize("action", ["", "/events", "/content", "/cancel", "/retry"])
def test_another_accounts_job_and_one_that_is_not_there_are_not_found(
    signed_in: SignIn, api: Api, other: Api, rows: Connection, action: str
) -> None:
    theirs = str(other.submit()["id"])
    browser = signed_in("operator")
    for job in (theirs, str(new_id()), "nonsense"):
        path = f"/console/jobs/{job}{action}"
        if action in ("", "/events"):
            answer = browser.get(path)
        else:
            answer = browser.post(path, {"nonce": "x" * 16})
        assert answer.status_code == 404, path
    assert actions(rows, theirs) == []
    assert other.get(f"/v1/jobs/{theirs}").json()["status"] == "queued"


def test_a_key_that_may_only_read_has_no_buttons_and_is_refused(
    signed_in: SignIn, api: Api, rows: Connection
) -> None:
    browser = signed_in("read")
    for job, action in ((str(api.submit()["id"]), "cancel"), (ended(api, rows, "failed"), "retry")):
        assert f"/{action}" not in browser.get(f"/console/jobs/{job}").text
        answer = browser.post(f"/console/jobs/{job}/{action}", {"nonce": "x" * 16})
        assert answer.status_code == 403
        assert "scope &#39;submit&#39;" in answer.text
        assert actions(rows, job) == []


def test_cancel_ends_a_queued_job_and_is_logged(
    signed_in: SignIn, api: Api, rows: Connection
) -> None:
    job = str(api.submit()["id"])
    browser = signed_in()
    answer = browser.post(f"/console/jobs/{job}/cancel")
    assert answer.headers["location"] == f"/console/jobs/{job}"
    assert api.get(f"/v1/jobs/{job}").json()["status"] == "cancelled"
    assert actions(rows, job) == ["job.cancel_asked"]


def test_one_form_runs_a_job_again_once(signed_in: SignIn, api: Api, rows: Connection) -> None:
    job = ended(api, rows, "failed", text="again")
    browser = signed_in()
    (nonce,) = re.findall(r'name="nonce" value="([^"]+)"', browser.get(f"/console/jobs/{job}").text)
    places = {
        browser.post(f"/console/jobs/{job}/retry", {"nonce": nonce}).headers["location"]
        for _ in range(3)
    }
    (place,) = places
    assert place != f"/console/jobs/{job}"
    assert browser.get(place).status_code == 200
    assert actions(rows, job) == ["job.retried"]


def test_a_completed_job_cannot_be_run_again(signed_in: SignIn, api: Api, rows: Connection) -> None:
    job = ended(api, rows)
    browser = signed_in()
    assert "/retry" not in browser.get(f"/console/jobs/{job}").text
    assert browser.post(f"/console/jobs/{job}/retry", {"nonce": "x" * 16}).status_code == 409


def test_a_jobs_stream_tells_that_it_moved_and_nothing_of_its_content(
    signed_in: SignIn, api: Api, rows: Connection
) -> None:
    job = ended(api, rows, text=SECRET)
    rows.execute(
        "UPDATE answers SET output = %s WHERE job_id = %s", (json.dumps({"text": SECRET}), job)
    )
    answer = signed_in("read").get(f"/console/jobs/{job}/events")
    assert "event: job.completed" in answer.text
    assert SECRET not in answer.text


def test_a_page_of_a_job_under_way_follows_it_and_says_deeper_analysis(
    signed_in: SignIn, api: Api, rows: Connection
) -> None:
    job = str(api.submit()["id"])
    rows.execute(
        "UPDATE jobs SET tier = 'frontier', tier_index = 1, queue = 'deeper-analysis'"
        " WHERE id = %s",
        (job,),
    )
    page = signed_in("read").get(f"/console/jobs/{job}")
    assert "running deeper analysis…" in text_of(page)
    assert f'data-stream="/console/jobs/{job}/events"' in page.text


def test_the_stream_of_a_revoked_key_ends(
    api_url: str, signed_in: SignIn, api: Api, rows: Connection
) -> None:
    job = str(api.submit()["id"])
    browser = signed_in("read")
    with browser.http.stream("GET", f"/console/jobs/{job}/events") as stream:
        lines = stream.iter_lines()
        assert any(line.startswith("event: job.queued") for line in lines)
        rows.execute(
            "UPDATE api_keys SET revoked_at = clock_timestamp() WHERE id = (SELECT key_id FROM"
            " console_sessions ORDER BY created_at DESC LIMIT 1)"
        )
        wait_until(
            lambda: browser.get("/console/jobs").status_code == 303, DEADLINE_S, "the session's end"
        )
        api.post(f"/v1/jobs/{job}/cancel")
        assert not [line for line in lines if "cancelled" in line]
