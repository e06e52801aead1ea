"""The commands against a real API: what they show, and how they end."""

import json
from pathlib import Path

import psycopg

from tests.support.cli import Tierline
from tierline.cli.features.feature_file import new_feature

INPUT = '{"text": "Where is my order 4417-B?"}'


def submit(tierline: Tierline, feature: str, *more: str) -> dict[str, object]:
    ran = tierline("jobs", "submit", feature, "--input", INPUT, "--json", *more)
    assert ran.code == 0, ran.err
    found: dict[str, object] = json.loads(ran.out)
    return found


def test_a_feature_is_applied_listed_and_shown(tierline: Tierline, feature: str) -> None:
    assert feature in tierline("features", "list").out
    shown = tierline("features", "show", feature)
    assert "routing: slm_first" in shown.out
    assert shown.code == 0


def test_applying_the_same_file_again_makes_no_new_version(
    tierline: Tierline, feature: str, tmp_path: Path
) -> None:
    path = tmp_path / "again.yaml"
    path.write_text(new_feature(feature, str(tmp_path / "order-number.yaml")))
    first = json.loads(tierline("features", "show", feature, "--json").out)["version"]
    ran = tierline("features", "apply", path)
    assert "is unchanged at" in ran.out
    assert json.loads(tierline("features", "show", feature, "--json").out)["version"] == first


def test_an_older_version_can_be_shown(tierline: Tierline, feature: str, tmp_path: Path) -> None:
    before = json.loads(tierline("features", "show", feature, "--json").out)["version"]
    path = tmp_path / "changed.yaml"
    path.write_text(new_feature(feature, "x").replace("max_tokens: 60", "max_tokens: 61"))
    assert f"version {before + 1}" in tierline("features", "apply", path).out
    old = tierline("features", "show", feature, "--version", before)
    assert "max_tokens: 61" not in old.out


def test_a_file_with_a_problem_applies_none(
    tierline: Tierline, feature: str, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(new_feature("never-applied", "x"))
    bad.write_text(new_feature("bad", "x").replace("routing: slm_first", "routing: nonsense"))
    ran = tierline("features", "apply", good, bad)
    assert ran.code == 2
    assert f"{bad}:" in ran.err
    assert "never-applied" not in tierline("features", "list").out


def test_a_job_is_submitted_shown_and_listed(tierline: Tierline, feature: str) -> None:
    job = submit(tierline, feature, "--metadata", '{"ticket": 7}')
    shown = tierline("jobs", "get", job["id"])
    assert f"id         {job['id']}" in shown.out
    assert "status     queued" in shown.out
    assert str(job["id"]) in tierline("jobs", "list", "--feature", feature).out
    assert job["metadata"] == {"ticket": 7}


def test_the_same_key_and_job_is_submitted_once(tierline: Tierline, feature: str) -> None:
    first = submit(tierline, feature, "--key", "once")
    assert submit(tierline, feature, "--key", "once")["id"] == first["id"]


def test_the_same_key_for_another_job_is_refused(tierline: Tierline, feature: str) -> None:
    submit(tierline, feature, "--key", "other")
    ran = tierline("jobs", "submit", feature, "--input", '{"text": "else"}', "--key", "other")
    assert ran.code in (1, 2)
    assert ran.out == ""
    assert "Traceback" not in ran.err


def test_an_input_that_breaks_the_schema_names_its_field(tierline: Tierline, feature: str) -> None:
    ran = tierline("jobs", "submit", feature, "--input", '{"text": 7}')
    assert ran.code == 2
    assert "/input/text" in ran.err


def test_an_unknown_feature_is_one_line(tierline: Tierline) -> None:
    ran = tierline("jobs", "submit", "nobody-knows", "--input", INPUT)
    assert ran.code != 0
    assert "nobody-knows" in ran.err
    assert ran.err.count("\n") == 1


def test_an_unknown_job_is_one_line_and_exit_code_1(tierline: Tierline) -> None:
    ran = tierline("jobs", "get", "019ab8d5-7c30-7000-8000-000000000000")
    assert ran.code == 1
    assert ran.err.count("\n") == 1


def test_lists_go_on_at_the_cursor(tierline: Tierline, feature: str) -> None:
    for _ in range(3):
        submit(tierline, feature)
    first = json.loads(tierline("jobs", "list", "--limit", 2, "--json").out)
    after = json.loads(
        tierline("jobs", "list", "--limit", 2, "--cursor", first["next_cursor"], "--json").out
    )
    assert not {job["id"] for job in first["data"]} & {job["id"] for job in after["data"]}


def test_a_waiting_job_is_cancelled_and_asked_again(tierline: Tierline, feature: str) -> None:
    job = submit(tierline, feature)
    assert "is cancelled" in tierline("jobs", "cancel", job["id"]).out
    again = tierline("jobs", "retry", job["id"], "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["status"] == "queued"


def test_waiting_ends_with_the_time_asked_for(tierline: Tierline, feature: str) -> None:
    job = submit(tierline, feature, "--wait", "0.2")
    assert job["status"] == "queued"  # no worker runs here


def test_a_cancelled_job_ends_the_command_with_1(tierline: Tierline, feature: str) -> None:
    job = submit(tierline, feature, "--key", "gone")
    tierline("jobs", "cancel", job["id"])
    ran = tierline("jobs", "submit", feature, "--input", INPUT, "--key", "gone", "--wait", "1")
    assert ran.code == 1
    assert "cancelled" in ran.out


def test_queues_show_the_backlog_that_flower_does_not(tierline: Tierline, feature: str) -> None:
    submit(tierline, feature)
    ran = tierline("queues")
    assert ran.code == 0
    rows = {line.split()[0]: line for line in ran.out.splitlines() if line.strip()}
    assert "deeper-analysis" in rows
    assert int(rows["slm"].split()[1]) >= 1
    data = json.loads(tierline("queues", "--json").out)["data"]
    assert next(row for row in data if row["queue"] == "slm")["waiting"] >= 1


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


def test_models_say_what_is_used_and_what_is_missing(tierline: Tierline, feature: str) -> None:
    ran = tierline("models", "list")
    assert ran.code == 0
    assert "local:smollm2-135m" in ran.out
    assert feature in ran.out


def test_content_of_a_job_that_ended_is_removed_by_command(
    tierline: Tierline, feature: str
) -> None:
    job = submit(tierline, feature)
    refused = tierline("jobs", "remove-content", job["id"])
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    tierline("jobs", "cancel", job["id"])
    assert "are removed" in tierline("jobs", "remove-content", job["id"]).out
    shown = json.loads(tierline("jobs", "get", job["id"], "--json").out)
    assert shown["input_removed_at"]


def test_one_job_or_a_batch_is_named_to_have_its_content_removed(tierline: Tierline) -> None:
    nobody = "019ab8d5-7c30-7000-8000-000000000000"
    assert tierline("jobs", "remove-content").code == 2
    assert tierline("jobs", "remove-content", nobody, "--batch", nobody).code == 2
    ran = tierline("jobs", "remove-content", "--batch", nobody)
    assert (ran.code, "no batch" in ran.err) == (1, True)
