"""`tierline webhooks`: endpoints and deliveries, and sending one again, against a real API."""

import json

import httpx
import psycopg

from tests.support.cli import Tierline

INPUT = '{"text": "Where is my order 4417-B?"}'
URL = "https://hooks.invalid/tierline"


def test_deliveries_are_listed_by_job_and_status_and_sent_again(
    tierline: Tierline, feature: str, api: dict[str, str], database_url: str
) -> None:
    assert tierline("webhooks", "list").out == "no webhook endpoints\n"
    made = httpx.post(
        f"{api['TIERLINE_URL']}/v1/webhook-endpoints",
        headers={"Authorization": f"Bearer {api['TIERLINE_API_KEY']}"},
        json={"url": URL, "events": ["job.cancelled"]},
        trust_env=False,
    )
    assert made.status_code == 201, made.text
    listed = tierline("webhooks", "list").out
    assert f"{URL}" in listed
    assert "job.cancelled" in listed
    job = json.loads(tierline("jobs", "submit", feature, "--input", INPUT, "--json").out)
    assert tierline("jobs", "cancel", job["id"]).code == 0
    found = tierline("webhooks", "deliveries", "--job", job["id"], "--json")
    (delivery,) = json.loads(found.out)["data"]
    with psycopg.connect(database_url, autocommit=True) as rows:
        rows.execute(
            "UPDATE deliveries SET status = 'failed', ended_at = clock_timestamp(),"
            " tries = 12, last_status = 500, last_error = NULL WHERE id = %s",
            (delivery["id"],),
        )
    failed = tierline("webhooks", "deliveries", "--status", "failed").out
    assert delivery["id"] in failed
    assert "HTTP 500" in failed
    again = tierline("webhooks", "resend", delivery["id"])
    assert again.code == 0, again.err
    assert again.out == f"{delivery['id']} to {URL} is pending: due at once\n"
    assert "no webhook deliveries" in tierline("webhooks", "deliveries", "--status", "failed").out
    wrong = tierline("webhooks", "deliveries", "--status", "lost")
    assert wrong.code == 2
    assert "must be one of pending, delivered, failed, not 'lost'" in wrong.err


def test_a_delivery_that_does_not_exist_is_one_line(tierline: Tierline) -> None:
    ran = tierline("webhooks", "resend", "019ab8d5-7c30-7000-8000-000000000000")
    assert (ran.code, ran.err.count("\n")) == (1, 1)
