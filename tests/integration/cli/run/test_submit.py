"""Jobs, queues and content by command, against a real API; no worker runs."""

import json

from tests.support.cli import Tierline

INPUT = '{"text": "Where is my order 4417-B?"}'


def submit(tierline: Tierline, feature: str, *more: str) -> dict[str, object]:
    ran = tierline("jobs", "submit", feature, "--input", INPUT, "--json", *more)
    assert ran.code == 0, ran.err
    document: dict[str, object] = json.loads(ran.out)
    return document


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
    waited = tierline("jobs", "retry", job["id"], "--wait", "0.2")
    assert waited.code == 0, waited.err
    assert "status     queued" in waited.out  # no worker runs here


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


def test_a_job_is_cancelled_once_and_one_that_had_ended_says_so(
    tierline: Tierline, feature: str
) -> None:
    job = submit(tierline, feature)
    first = tierline("jobs", "cancel", job["id"])
    assert (first.code, first.out) == (0, f"{job['id']} is cancelled\n")
    again = tierline("jobs", "cancel", job["id"])
    assert (again.code, again.out) == (1, f"{job['id']} had ended: it is cancelled\n")
    assert json.loads(tierline("jobs", "cancel", job["id"], "--json").out)["status"] == "cancelled"
    other = submit(tierline, feature)
    key = tierline("keys", "create", "--scope", "submit").out.strip()
    assert tierline("jobs", "cancel", other["id"], key=key).code == 0


def test_a_waiting_job_says_what_it_waits_for(tierline: Tierline, feature: str) -> None:
    job = submit(tierline, feature)
    shown = tierline("jobs", "get", job["id"]).out
    assert "waits for  a place in the queue" in shown
