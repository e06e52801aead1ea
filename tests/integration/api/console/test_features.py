"""Features in the console: versions, cases, trying an input, and their evidence."""

import json
import re
from typing import Any

import psycopg
import pytest

from tests.support.api.browser import SignIn, text_of
from tests.support.api.served import Api
from tests.support.database.rows import add_calibration, add_evaluation, add_feature, two_tiers
from tierline.services.features.apply_feature import apply_feature

Connection = psycopg.Connection[Any]
FILE = """
feature: parrot
description: Repeats a text.
instructions: Repeat the text.
input: {type: object, required: [text], properties: {text: {type: string}}}
output: {type: string}
cases:
  - {name: hello, input: {text: hi}, expected: hi}
tiers:
  - {name: slm, models: ["openai:small"], max_tokens: 50, timeout_s: 5}
  - {name: frontier, models: ["openai:large"], max_tokens: 50, timeout_s: 5}
"""
PARROT = "/console/features/parrot"


@pytest.fixture(scope="module")
def parrot(api: Api, rows: Connection) -> None:
    """A feature with two versions and a case."""
    for text in (FILE, FILE.replace("Repeat the text", "Say it again")):
        apply_feature(rows, text)


def result() -> dict[str, Any]:
    """The result of an evaluation of two tiers."""

    def tier(name: str, quality: float) -> dict[str, Any]:
        return {
            **{"tier": name, "models": ["m-1"], "right": 90, "quality": quality},
            **{"interval": [quality - 0.05, quality + 0.05], "unanswered": 0},
            **{"cost_usd": "0.5", "unknown_cost_calls": 0},
            **{"latency_p50_s": 0.5, "latency_p95_s": 1.5},
        }

    return {
        "examples": 100,
        "tiers": [tier("slm", 0.90), tier("frontier", 0.95)],
        "compared": [
            {
                **{"tier": "slm", "with": "frontier", "ratio": 0.95, "interval": [0.9, 1.0]},
                **{"interval_once": None, "method": "x", "only_this": 2, "only_the_other": 7},
                **{"mcnemar_p": 0.18, "differ": 12, "differ_at_most": 0.19, "verdict": "ship"},
                **{"reason": "it keeps at least 85%", "more_examples": None, "rows": []},
            }
        ],
        "fields": [],
        "slices": [
            {"by": "length", "value": "long", "examples": 30, "quality": {"slm": 0.8}},
        ],
    }


def test_the_list_and_a_features_page_show_tiers_cases_and_versions(
    signed_in: SignIn, parrot: None
) -> None:
    browser = signed_in("read")
    assert "parrot Repeats a text. 2 ● slm › ◆ frontier" in text_of(
        browser.get("/console/features")
    )
    text = text_of(browser.get(PARROT))
    assert "hello the output must be equal" in text
    assert "v2 current" in text
    assert "Try one input" not in text, "the key may not submit"


def test_a_versions_page_says_what_it_changed(signed_in: SignIn, parrot: None) -> None:
    browser = signed_in("read")
    text = text_of(browser.get(f"{PARROT}/versions/2"))
    assert "removed − instructions: Repeat the text." in text
    assert "added + instructions: Say it again." in text
    assert "What it changed" not in text_of(browser.get(f"{PARROT}/versions/1"))
    for number in ("0", "3", "x", "９"):
        assert browser.get(f"{PARROT}/versions/{number}").status_code == 404


def logged(rows: Connection) -> Any:
    return rows.execute("SELECT action, detail FROM audit_log ORDER BY id DESC LIMIT 1").fetchone()


def test_one_input_is_tried_as_a_job_like_any_other(
    signed_in: SignIn, parrot: None, api: Api, rows: Connection
) -> None:
    browser = signed_in("submit", "read")
    assert "&#34;text&#34;: &#34;hi&#34;" in browser.get(PARROT).text, "the first case's input"
    fields = {"version": "2", "input": '{"text": "hello"}'}
    answer = browser.post(f"{PARROT}/try", fields)
    assert answer.status_code == 303, answer.text
    job = api.get(f"/v1/jobs/{answer.headers['location'].rpartition('/')[2]}").json()
    assert (job["feature"], job["feature_version"], job["tier"]) == ("parrot", 2, "slm")
    assert logged(rows) == ("feature.tried", {"feature": "parrot", "version": 2})


@pytest.mark.parametrize("more", [{"version": "1"}, {"version": "2", "tier": "frontier"}], ids=str)
def test_an_operator_tries_an_earlier_version_or_one_tier_as_a_draft(
    signed_in: SignIn, parrot: None, rows: Connection, more: dict[str, str]
) -> None:
    fields = {"input": '{"text": "hello"}', **more}
    assert signed_in("submit", "read").post(f"{PARROT}/try", fields).status_code == 403
    answer = signed_in("operator").post(f"{PARROT}/try", fields)
    assert answer.status_code == 303, answer.text
    row = rows.execute(
        "SELECT v.version < 0, j.tier FROM jobs j JOIN feature_versions v"
        " ON v.id = j.feature_version_id WHERE j.id = %s",
        (answer.headers["location"].rpartition("/")[2],),
    ).fetchone()
    assert row == (True, more.get("tier", "slm"))


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"version": "2", "input": "{"}, 422),
        ({"version": "2", "input": '{"text": 1}'}, 422),
        ({"version": "7", "input": '{"text": "a"}'}, 404),
        ({"version": "x", "input": "{}"}, 400),
    ],
    ids=str,
)
def test_an_input_that_cannot_be_tried_is_refused(
    signed_in: SignIn, parrot: None, fields: dict[str, str], status: int
) -> None:
    assert signed_in("submit", "read").post(f"{PARROT}/try", fields).status_code == status


def test_evidence_without_any_says_what_to_do(signed_in: SignIn, parrot: None) -> None:
    text = text_of(signed_in("operator").get(f"{PARROT}/evidence"))
    for command in ("tierline promote", "tierline eval", "tierline calibrate"):
        assert command in text
    assert "Nothing was compared yet" in text


def test_evidence_shows_promotions_with_their_bound_calibrations_and_evaluations(
    signed_in: SignIn, rows: Connection, api: Api
) -> None:
    add_feature(rows, two_tiers("shown"))
    add_calibration(rows, "shown")
    number = add_evaluation(rows, "shown")
    rows.execute(
        "UPDATE evaluations SET document = %s WHERE id = %s", (json.dumps(result()), number)
    )
    rows.execute(
        "INSERT INTO promotions (feature, tier, evaluation_id, rung, share, version,"
        " most_differing) VALUES ('shown', 'slm', %s, 'ship', 0.1, 1, 0.19)",
        (number,),
    )
    browser = signed_in("operator")
    text = text_of(browser.get("/console/features/shown/evidence"))
    assert "slm answers 10% of the jobs ◐ canary" in text
    assert "slm ✓ ship" in text
    assert "3.0%" in text
    page = browser.get(f"/console/features/shown/evaluations/{number}")
    text = text_of(page)
    assert "slm 90% 85% to 95%" in text
    assert "length long 30 80%" in text
    assert '<svg class="chart"' in page.text
    assert browser.get("/console/features/shown/evaluations/99999").status_code == 404


def test_differing_examples_and_novel_inputs_are_logged_looks(
    signed_in: SignIn, rows: Connection, api: Api
) -> None:
    add_feature(rows, two_tiers("looked"))
    number = add_evaluation(rows, "looked")
    browser = signed_in("operator")
    place = f"/console/features/looked/evaluations/{number}/differing"
    assert browser.post(place, {"tier": "slm"}).status_code == 200
    assert logged(rows)[0] == "evaluation.content_shown"
    assert browser.post("/console/features/looked/drift/examples").status_code == 200
    assert logged(rows)[0] == "drift.content_shown"
    assert browser.post("/console/features/nothing/drift/examples").status_code == 404


def test_figures_of_all_accounts_are_an_operators(signed_in: SignIn, parrot: None) -> None:
    page = signed_in("admin").get(f"{PARROT}/evidence")
    assert page.status_code == 200
    assert not re.search(r"<h2>Drift", page.text)
