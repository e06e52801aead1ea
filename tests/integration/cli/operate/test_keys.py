"""Keys, accounts and people by command, against a real API."""

import json

import psycopg

from tests.support.cli import Tierline
from tests.support.database.rows import add_person

INPUT = '{"text": "Where is my order 4417-B?"}'


def submit(tierline: Tierline, feature: str, *more: str) -> dict[str, object]:
    ran = tierline("jobs", "submit", feature, "--input", INPUT, "--json", *more)
    assert ran.code == 0, ran.err
    document: dict[str, object] = json.loads(ran.out)
    return document


def test_a_key_is_shown_once_works_and_ends_when_revoked(tierline: Tierline, feature: str) -> None:
    made = tierline("keys", "create", "--name", "till", "--scope", "read")
    key = made.out.strip()
    assert made.code == 0
    assert key not in tierline("keys", "list").out
    assert tierline("jobs", "list", key=key).code == 0
    refused = tierline("jobs", "submit", feature, "--input", INPUT, key=key)
    assert refused.code == 1
    assert "submit" in refused.err
    key_id = next(
        row["id"]
        for row in json.loads(tierline("keys", "list", "--json").out)["data"]
        if row["name"] == "till"
    )
    assert tierline("keys", "revoke", key_id).code == 0
    assert "revoked" in tierline("keys", "list").out


def test_a_scope_and_a_status_that_do_not_exist_are_told_with_those_that_do(
    tierline: Tierline,
) -> None:
    scope = tierline("keys", "create", "--scope", "write")
    assert scope.code == 2
    assert "/scopes/0: must be one of submit, read, admin, operator, not 'write'" in scope.err
    status = tierline("jobs", "list", "--status", "done")
    assert status.code == 2
    assert "?status: must be one of queued, in_progress, completed, failed" in status.err
    assert "not 'done'" in status.err


def test_a_key_that_may_only_submit_sees_how_its_job_stands_and_no_output(
    tierline: Tierline, feature: str, database_url: str
) -> None:
    key = tierline("keys", "create", "--scope", "submit").out.strip()
    words = ("jobs", "submit", feature, "--input", INPUT, "--key", "till-1")
    ran = tierline(*words, "--wait", "0.3", key=key)
    assert ran.code == 0, ran.err
    assert "status     queued" in ran.out
    assert "output     not shown" in ran.out
    assert "'read'" in ran.out
    job = json.loads(tierline(*words, "--json", key=key).out)
    assert "output" not in job
    with psycopg.connect(database_url, autocommit=True) as rows:
        rows.execute(
            "UPDATE jobs SET status = 'failed', error_code = 'checks_failed',"
            " error_message = 'quotes the answer', completed_at = clock_timestamp() WHERE id = %s",
            (job["id"],),
        )
    ended = tierline(*words, "--wait", "20", key=key)
    assert ended.code == 1
    assert "error      checks_failed\n" in ended.out
    assert "quotes" not in ended.out
    refused = tierline("jobs", "get", job["id"], key=key)
    assert refused.code == 1
    assert "a key that may read" in refused.err


def test_a_rotated_key_is_shown_once_and_the_old_one_ends_with_its_overlap(
    tierline: Tierline, feature: str
) -> None:
    made = json.loads(tierline("keys", "create", "--name", "door", "--json").out)
    ran = tierline("keys", "rotate", made["id"], "--overlap-hours", 0)
    assert ran.code == 0, ran.err
    new = ran.out.strip()
    assert new.startswith("tl_")
    assert new not in tierline("keys", "list").out
    assert tierline("jobs", "list", key=new).code == 0
    assert tierline("keys", "rotate", made["id"]).code == 1


def test_an_operators_key_is_demoted_and_the_last_one_only_by_force(tierline: Tierline) -> None:
    made = json.loads(tierline("keys", "create", "--scope", "operator", "--json").out)
    assert made["scopes"] == ["admin", "operator"]
    assert tierline("accounts", "list", key=made["key"]).code == 0
    ran = tierline("keys", "demote", made["id"])
    assert (ran.code, ran.out) == (0, f"key {made['id']} of account default has the scopes admin\n")
    refused = tierline("accounts", "list", key=made["key"])
    assert refused.code == 1
    assert "operator" in refused.err
    assert tierline("keys", "list", key=made["key"]).code == 0

    keys = json.loads(tierline("keys", "list", "--json").out)["data"]
    (last,) = (key for key in keys if "operator" in key["scopes"] and not key["revoked_at"])
    for words in (("keys", "revoke", last["id"]), ("keys", "demote", last["id"])):
        refused = tierline(*words)
        assert refused.code == 1
        assert "last operator's key" in refused.err
        assert len(refused.err.splitlines()) == 1


def test_a_key_that_nobody_knows_is_one_line_without_the_key(tierline: Tierline) -> None:
    ran = tierline("jobs", "list", key="tl_nonsense")
    assert ran.code == 1
    assert "tl_nonsense" not in ran.err
    assert ran.err.count("\n") == 1


def test_accounts_are_made_changed_and_listed_and_see_only_their_own(
    tierline: Tierline, feature: str
) -> None:
    assert tierline("accounts", "create", "shop", "--weight", 3).code == 0
    assert "weight 5" in tierline("accounts", "set", "shop", "--weight", 5).out
    assert "shop" in tierline("accounts", "list").out
    key = tierline("keys", "create", "--account", "shop").out.strip()
    job = submit(tierline, feature)
    assert tierline("jobs", "get", job["id"], key=key).code == 1
    assert tierline("jobs", "list", key=key).out == "no jobs\n"


def test_an_accounts_limits_are_set_shown_and_taken_back(tierline: Tierline) -> None:
    assert tierline("accounts", "create", "store", "--max-queued-jobs", 100).code == 0
    ran = tierline("accounts", "set", "store", "--max-requests-per-s", 1)
    assert ran.out == "account store, weight 1, max_queued_jobs 100, max_requests_per_s 1\n"
    ran = tierline("accounts", "set", "store", "--max-queued-jobs", "default", "--json")
    assert json.loads(ran.out)["max_queued_jobs"] is None
    ran = tierline("accounts", "set", "store", "--max-jobs-in-progress", "some")
    assert ran.code == 2
    assert "--max-jobs-in-progress: a whole number from 1" in ran.err
    assert tierline("accounts", "set", "store").code == 2
    key = tierline("keys", "create", "--account", "store").out.strip()
    for _ in range(40):
        ran = tierline("jobs", "list", key=key)
        if ran.code:
            break
    assert ran.code == 1
    assert "1 requests a second (max_requests_per_s)" in ran.err


def test_people_are_listed_and_signed_out_by_id_subject_or_name(
    tierline: Tierline, database_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as rows:
        first, second = add_person(rows), add_person(rows)
    people = json.loads(tierline("people", "list", "--json").out)["data"]
    by_id = {one["id"]: one for one in people}
    assert by_id[first]["sessions"] == 1
    several = tierline("people", "sign-out", "Lee")
    assert several.code == 2
    assert str(first) in several.err
    assert tierline("people", "sign-out", str(first)).out == f"Lee ({first}): 1 session ended\n"
    by_subject = tierline("people", "sign-out", by_id[second]["subject"])
    assert by_subject.out == f"Lee ({second}): 1 session ended\n"
    nobody = tierline("people", "sign-out", "nobody")
    assert nobody.code == 1
    assert "nobody of the id, subject or name 'nobody' has signed in" in nobody.err
