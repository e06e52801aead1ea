"""The page Review: people label answers, one at a time."""

import json
import re
from typing import Any

import psycopg
import pytest

from tests.support.api.browser import Browser, SignIn, text_of
from tests.support.api.served import Api
from tests.support.database.rows import add_feature, end_job
from tierline.base.ids import new_id
from tierline.features.parse import parse_feature

Connection = psycopg.Connection[Any]
FEATURE = """
feature: {name}
instructions: Read the bill.
input: {{type: object, required: [text], properties: {{text: {{type: string}}}}}}
output:
  type: object
  required: [amount, kind]
  properties:
    amount: {{type: number}}
    kind: {{enum: [bill, letter]}}
    lines: {{type: array}}
checks:
  - grounded: [amount]
tiers: [{{name: slm, models: ["openai:small"]}}]
"""
OUTPUT = {"amount": 12.5, "kind": "bill"}
HOSTILE = "<script>alert(1)</script><mark>\u202e\x1b[31m 12.50"


@pytest.fixture
def feature(api: Api, rows: Connection) -> str:
    """A feature of the test's own."""
    name = f"review-{new_id().hex}"
    add_feature(rows, parse_feature(FEATURE.format(name=name)))
    return name


def ended(api: Api, rows: Connection, feature: str, text: str = "it costs 12.50") -> str:
    job = str(api.submit(text, feature=feature)["id"])
    end_job(rows, job)
    rows.execute(
        "UPDATE answers SET output = %s, text = 'x' WHERE job_id = %s", (json.dumps(OUTPUT), job)
    )
    return job


def draw(browser: Browser, feature: str, count: int = 20, second: int = 0) -> None:
    fields = {"feature": feature, "count": str(count), "second": str(second)}
    answer = browser.post("/console/review/draw", fields)
    assert answer.headers.get("location") == f"/console/review?feature={feature}", answer.text


def asked_for(rows: Connection) -> Any:
    """The newest entry of the log about labels that were asked for."""
    row = rows.execute(
        "SELECT detail FROM audit_log WHERE action = 'labels.asked' ORDER BY id DESC LIMIT 1"
    ).fetchone()
    assert row is not None
    return row[0]


def start(browser: Browser, feature: str) -> Any:
    return browser.post("/console/review/next", {"feature": feature})


def say(browser: Browser, feature: str, job: str, action: str, **fields: str) -> Any:
    sent = {"feature": feature, "action": action, **fields}
    return browser.post(f"/console/review/{job}", sent)


def job_of(page: Any) -> str:
    (job,) = set(re.findall(r'action="/console/review/([0-9a-f-]{36})"', page.text))
    return str(job)


def said(rows: Connection, job: str) -> list[tuple[Any, ...]]:
    return rows.execute(
        "SELECT correct, expected FROM feedback WHERE job_id = %s ORDER BY id", (job,)
    ).fetchall()


def test_answers_are_drawn_shown_and_labelled_one_after_the_other(
    signed_in: SignIn, api: Api, rows: Connection, feature: str
) -> None:
    jobs = {ended(api, rows, feature) for _ in range(3)}
    browser = signed_in("admin")
    draw(browser, feature)
    overview = text_of(browser.get(f"/console/review?feature={feature}"))
    assert "3 of 3 labels that are wanted are for you" in overview
    assert "3 of 500 inputs have a label" in overview, "the last tier gave them"

    page = start(browser, feature)
    labelled = []
    for action in ("right", "wrong"):
        assert "it costs" in text_of(page)
        assert '<mark title="evidence of amount">12.50</mark>' in page.text
        assert "✓ found" in text_of(page)
        labelled.append(job_of(page))
        page = say(browser, feature, labelled[-1], action)
        assert f"Stored: the answer is {action}." in text_of(page)
    third = job_of(page)
    assert {*labelled, third} == jobs
    page = say(browser, feature, third, "correct", v0="13", v1="1", v2="")
    assert "No more answers are waiting" in text_of(page)
    assert said(rows, labelled[0]) == [(True, None)]
    assert said(rows, labelled[1]) == [(False, None)]
    assert said(rows, third) == [(None, {"amount": 13, "kind": "letter"})]


def test_each_look_is_logged_and_so_is_the_label(
    signed_in: SignIn, api: Api, rows: Connection, feature: str
) -> None:
    job = ended(api, rows, feature)
    browser = signed_in("admin")
    draw(browser, feature)
    assert asked_for(rows) == {"feature": feature, "labels": 1}
    for looks in (1, 2):
        assert job_of(start(browser, feature)) == job
        log = rows.execute("SELECT action FROM audit_log WHERE job_id = %s", (job,)).fetchall()
        assert log == [("job.content_shown",)] * looks
    say(browser, feature, job, "right")
    text = text_of(browser.get(f"/console/jobs/{job}"))
    assert "labelled an answer" in text


def test_a_form_sent_again_and_another_persons_form_are_not_stored(
    signed_in: SignIn, api: Api, rows: Connection, feature: str
) -> None:
    job = ended(api, rows, feature)
    ann, bob = signed_in("admin"), signed_in()
    draw(ann, feature)
    assert job_of(start(ann, feature)) == job
    assert "No more answers" in text_of(start(bob, feature)), "Ann looks at it"
    rows.execute("UPDATE reviews SET held_until = clock_timestamp() WHERE job_id = %s", (job,))
    assert job_of(start(bob, feature)) == job
    assert "Stored" in text_of(say(ann, feature, job, "right"))
    assert "nothing was stored again" in text_of(say(ann, feature, job, "right"))
    assert "another person has labelled this answer" in text_of(say(bob, feature, job, "wrong"))
    assert said(rows, job) == [(True, None)]


def test_a_share_is_given_to_two_people_and_their_agreement_is_shown(
    signed_in: SignIn, api: Api, rows: Connection, feature: str
) -> None:
    for _ in range(2):
        ended(api, rows, feature)
    ann, bob = signed_in("admin"), signed_in()
    draw(ann, feature, second=100)
    for browser, verdicts in ((ann, ("right", "wrong")), (bob, ("right", "wrong"))):
        page = start(browser, feature)
        for verdict in verdicts:
            page = say(browser, feature, job_of(page), verdict)
        assert "No more answers" in text_of(page)
    text = text_of(ann.get(f"/console/review?feature={feature}"))
    assert "2 of 2 answers; Cohen's kappa 1.00" in text


def test_a_skipped_answer_goes_to_others_and_comes_back_when_asked(
    signed_in: SignIn, api: Api, rows: Connection, feature: str
) -> None:
    job = ended(api, rows, feature)
    ann, bob = signed_in("admin"), signed_in()
    draw(ann, feature)
    assert job_of(start(ann, feature)) == job
    page = say(ann, feature, job, "skip")
    assert "Skipped" in text_of(page)
    assert "No more answers" in text_of(page)
    assert job_of(start(bob, feature)) == job
    say(bob, feature, job, "skip")
    ann.post("/console/review/again", {"feature": feature})
    assert job_of(start(ann, feature)) == job
    assert said(rows, job) == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"v0": "much", "v1": "0", "v2": ""}, "amount"),
        ({"v0": "13", "v1": "", "v2": ""}, "kind : is missing"),
        ({"v0": "13", "v1": "0", "v2": '{"a": 1}'}, "lines"),
    ],
)
def test_a_correction_that_does_not_fit_is_shown_again_with_what_was_typed(
    signed_in: SignIn,
    api: Api,
    rows: Connection,
    feature: str,
    fields: dict[str, str],
    told: str,
) -> None:
    job = ended(api, rows, feature)
    browser = signed_in("admin")
    draw(browser, feature)
    start(browser, feature)
    page = say(browser, feature, job, "correct", **fields)
    assert page.status_code == 422
    assert told in text_of(page)
    assert f'name="v0" value="{fields["v0"]}"' in page.text
    assert said(rows, job) == []
    assert job_of(page) == job


def test_jobs_of_a_filter_are_asked_about(
    signed_in: SignIn, api: Api, rows: Connection, feature: str
) -> None:
    job = ended(api, rows, feature)
    api.submit("queued", feature=feature)
    browser = signed_in()
    answer = browser.post("/console/review/filter", {"feature": feature, "count": "50"})
    assert answer.headers["location"] == f"/console/review?feature={feature}"
    assert asked_for(rows) == {"feature": feature, "labels": 1}
    assert job_of(start(browser, feature)) == job
    refused = browser.post("/console/review/filter", {"feature": feature, "count": "0"})
    assert refused.status_code == 422


def test_hostile_texts_are_shown_as_text_only(
    signed_in: SignIn, api: Api, rows: Connection, feature: str
) -> None:
    job = ended(api, rows, feature, HOSTILE)
    hostile = json.dumps({"amount": 12.5, "kind": HOSTILE})
    rows.execute("UPDATE answers SET output = %s WHERE job_id = %s", (hostile, job))
    browser = signed_in("admin")
    draw(browser, feature)
    page = start(browser, feature)
    assert "<script>" not in page.text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page.text)
    assert page.text.count("<mark ") == page.text.count("</mark>") == 1
    typed = {"v0": HOSTILE, "v1": "0", "v2": HOSTILE}
    assert "<script>" not in say(browser, feature, job, "correct", **typed).text


def test_what_a_key_may_not_do_is_refused_and_has_no_button(
    signed_in: SignIn, api: Api, rows: Connection, feature: str
) -> None:
    job = ended(api, rows, feature)
    draw(signed_in("admin"), feature)
    reader, submitter = signed_in("read"), signed_in()
    page = reader.get(f"/console/review?feature={feature}")
    assert "needs the scope 'submit'" in text_of(page)
    assert "/console/review/next" not in page.text
    assert start(reader, feature).status_code == 403
    assert say(reader, feature, job, "right").status_code == 403
    assert "/console/review/draw" not in submitter.get("/console/review").text
    refused = submitter.post("/console/review/draw", {"feature": feature, "count": "1"})
    assert refused.status_code == 403
    assert said(rows, job) == []


def test_another_accounts_answer_is_not_found(
    signed_in: SignIn, other: Api, rows: Connection, feature: str
) -> None:
    theirs = ended(other, rows, feature)
    browser = signed_in("operator")
    draw(browser, feature)
    assert "No more answers" in text_of(start(browser, feature))
    for action in ("right", "skip", "correct"):
        assert say(browser, feature, theirs, action, v0="1", v1="0").status_code == 404
    assert said(rows, theirs) == []


def test_an_answer_whose_content_is_gone_is_not_asked_about(
    signed_in: SignIn, api: Api, rows: Connection, feature: str
) -> None:
    first, second = ended(api, rows, feature), ended(api, rows, feature)
    browser = signed_in("admin")
    draw(browser, feature)
    seen = job_of(start(browser, feature))
    other_one = second if seen == first else first
    assert api.send("DELETE", f"/v1/jobs/{seen}/content").status_code == 200
    page = say(browser, feature, seen, "right")
    assert "output was removed" in text_of(page)
    assert job_of(page) == other_one
