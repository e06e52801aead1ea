"""The deliveries that an event writes, in the transaction that makes it true."""

import json
from typing import Any

import pytest
from psycopg import sql

from tests.support.database.rows import add_account, add_job
from tests.support.scenes.webhooks import Scene
from tierline.base.errors import InvalidInput
from tierline.base.ids import new_id
from tierline.services.webhooks.announce import announce, announce_batch
from tierline.services.webhooks.endpoints import change_endpoint, get_endpoint
from tierline.storage.webhooks.deliveries import HOOKED_SQL
from tierline.webhooks.events import EVENTS

URL = "https://hooks.example.com/in"


def bodies(scene: Scene) -> list[dict[str, Any]]:
    rows = scene.db.execute("SELECT body FROM deliveries ORDER BY seq").fetchall()
    return [json.loads(body) for (body,) in rows]


def count(scene: Scene) -> int:
    row = scene.db.execute("SELECT count(*) FROM deliveries").fetchone()
    assert row is not None
    return int(row[0])


def hooked(scene: Scene, job_id: object) -> bool:
    row = scene.db.execute(
        sql.SQL(
            "SELECT " + HOOKED_SQL + " FROM jobs j JOIN job_requests r ON r.job_id = j.id"
            " WHERE j.id = %s"
        ),
        (job_id,),
    ).fetchone()
    assert row is not None
    return bool(row[0])


def test_a_job_that_nobody_listens_to_writes_nothing(scene: Scene) -> None:
    job_id = scene.end_job()

    assert count(scene) == 0
    assert not hooked(scene, job_id)


def test_a_jobs_own_url_gets_a_thin_body(scene: Scene) -> None:
    job_id = scene.end_job(url=URL, custom_id="row-7")

    (body,) = bodies(scene)
    assert body["type"] == "job.completed"
    assert body["data"]["id"] == str(job_id)
    assert body["data"]["custom_id"] == "row-7"
    assert body["data"]["feature"] == "echo"
    assert body["data"]["status_label"] is None
    assert "output" not in body["data"]
    assert hooked(scene, job_id)


def test_each_endpoint_that_wants_the_event_gets_it(scene: Scene) -> None:
    scene.add_endpoint("https://one.example.com/")
    scene.add_endpoint("https://two.example.com/", events=["job.completed"])
    scene.add_endpoint("https://three.example.com/", events=["job.failed"])

    scene.end_job(url=URL)

    urls = {url for (url,) in scene.db.execute("SELECT url FROM deliveries")}
    assert urls == {URL, "https://one.example.com/", "https://two.example.com/"}


def test_an_endpoint_that_asks_for_the_output_gets_it_and_the_others_do_not(scene: Scene) -> None:
    scene.add_endpoint("https://thin.example.com/")
    scene.add_endpoint("https://full.example.com/", include=["output"])
    job_id = add_job(scene.db, scene.account, scene.version, answer_attempt=1)
    scene.db.execute(
        "INSERT INTO answers (job_id, attempt, text, output) VALUES (%s, 1, 'x', %s)",
        (job_id, '{"text": "grüß"}'),
    )

    announce(scene.db, "job.completed", job_id)

    by_url = {
        url: json.loads(body)["data"]
        for url, body in scene.db.execute("SELECT url, body FROM deliveries")
    }
    assert "output" not in by_url["https://thin.example.com/"]
    assert by_url["https://full.example.com/"]["output"] == {"text": "grüß"}


def test_an_escalation_says_the_label_that_a_person_is_shown(scene: Scene) -> None:
    scene.add_endpoint(URL)
    job_id = add_job(
        scene.db,
        scene.account,
        scene.version,
        tier="frontier",
        tier_index=1,
        escalation_reason="schema: text is missing",
    )

    announce(scene.db, "job.escalated", job_id)

    (body,) = bodies(scene)
    assert body["data"]["status_label"] == "running deeper analysis…"
    assert body["data"]["escalated"] is True
    assert "text is missing" not in json.dumps(body)


def test_another_accounts_endpoint_and_a_disabled_one_hear_nothing(scene: Scene) -> None:
    endpoint_id, _ = scene.add_endpoint(URL)
    other = add_account(scene.db, "other")
    other_job = scene.end_job(account=other)
    change_endpoint(scene.db, scene.account, endpoint_id, disabled=True)
    own_job = scene.end_job()

    assert count(scene) == 0
    assert not hooked(scene, other_job)
    assert not hooked(scene, own_job)


def test_an_endpoint_for_batches_alone_does_not_slow_jobs_down(scene: Scene) -> None:
    scene.add_endpoint(URL, events=["batch.completed"])

    assert not hooked(scene, scene.end_job())


@pytest.mark.parametrize("event", [event for event in EVENTS if event.startswith("job.")])
def test_a_job_is_hooked_whenever_an_endpoint_wants_any_of_its_events(
    scene: Scene, event: str
) -> None:
    scene.add_endpoint(URL, events=["batch.completed", event])
    job_id = add_job(scene.db, scene.account, scene.version)

    assert hooked(scene, job_id)
    assert announce(scene.db, event, job_id) == 1


@pytest.mark.parametrize("event", ["job.escalated", "job.completed", "job.failed"])
def test_the_rows_of_a_batch_are_told_only_to_endpoints_that_ask(scene: Scene, event: str) -> None:
    scene.add_endpoint("https://few.example.com/")
    row = add_job(scene.db, scene.account, scene.version, batch_id=new_id(), batch_row=1)

    assert announce(scene.db, event, row) == 0
    assert not hooked(scene, row)

    scene.add_endpoint("https://all.example.com/", batch_rows=True)
    single = add_job(scene.db, scene.account, scene.version)

    assert announce(scene.db, event, row) == 1
    assert announce(scene.db, event, single) == 2
    assert hooked(scene, row)
    assert hooked(scene, single)
    urls = scene.db.execute("SELECT url FROM deliveries WHERE job_id = %s", (row,)).fetchall()
    assert urls == [("https://all.example.com/",)]


def test_an_endpoint_may_begin_and_cease_to_hear_of_rows(scene: Scene) -> None:
    endpoint_id, _ = scene.add_endpoint(URL)
    row = add_job(scene.db, scene.account, scene.version, batch_id=new_id(), batch_row=1)
    change_endpoint(scene.db, scene.account, endpoint_id, batch_rows=True)
    assert announce(scene.db, "job.completed", row) == 1
    change_endpoint(scene.db, scene.account, endpoint_id, batch_rows=False)
    assert announce(scene.db, "job.completed", row) == 0


def test_a_transaction_that_fails_leaves_no_delivery(scene: Scene) -> None:
    scene.add_endpoint(URL)
    job_id = add_job(scene.db, scene.account, scene.version)

    class Broken(Exception):
        pass

    def end_and_fail() -> None:
        with scene.db.transaction():
            assert announce(scene.db, "job.completed", job_id) == 1
            raise Broken

    with pytest.raises(Broken):
        end_and_fail()
    assert count(scene) == 0


def test_a_stored_url_that_cannot_be_read_does_not_stop_the_job_from_ending(scene: Scene) -> None:
    scene.end_job(url="http://[broken")

    assert count(scene) == 1


def test_urls_of_one_server_share_a_target_and_endpoints_have_their_own(scene: Scene) -> None:
    endpoint_id, _ = scene.add_endpoint(URL)
    for url in (URL, URL + "?job=2", "https://hooks.example.com:443/other"):
        scene.end_job(url=url)

    targets = {target for (target,) in scene.db.execute("SELECT target FROM deliveries")}
    assert targets == {f"endpoint:{endpoint_id}", "url:https://hooks.example.com"}


def test_a_batch_tells_its_own_url_and_the_endpoints_what_became_of_its_rows(scene: Scene) -> None:
    scene.add_endpoint("https://one.example.com/", events=["batch.completed"])
    scene.add_endpoint("https://two.example.com/", events=["job.completed"])
    batch_id = new_id()
    scene.db.execute(
        "INSERT INTO batches (id, account_id, feature_version_id, status, metadata, webhook_url)"
        " VALUES (%s, %s, %s, 'completed', %s, %s)",
        (batch_id, scene.account, scene.version, '{"run": 1}', URL),
    )
    scene.db.execute(
        "INSERT INTO batch_parts (batch_id, number, sha256, rows, bad_rows)"
        " VALUES (%s, 1, '', 3, 1)",
        (batch_id,),
    )
    for row, status in enumerate(("completed", "completed", "failed"), start=1):
        add_job(
            scene.db,
            scene.account,
            scene.version,
            status=status,
            batch_id=batch_id,
            batch_row=row,
        )

    assert announce_batch(scene.db, batch_id) == 2

    first, second = bodies(scene)
    assert first == second
    assert first["type"] == "batch.completed"
    assert first["data"]["counts"] == {"completed": 2, "failed": 1}
    assert first["data"]["bad_rows"] == 1
    assert first["data"]["metadata"] == {"run": 1}


def test_an_endpoint_of_openais_form_gets_its_own_body(scene: Scene) -> None:
    scene.add_endpoint("https://one.example.com/")
    scene.add_endpoint("https://two.example.com/", format="openai")

    job_id = scene.end_job()

    ours, theirs = sorted(bodies(scene), key=lambda body: "object" in body)
    assert (ours["type"], theirs["type"]) == ("job.completed", "response.completed")
    assert theirs["data"] == {"id": f"resp_{job_id.hex}", "tierline": ours["data"]}
    assert theirs["id"].startswith("evt_")
    assert theirs["object"] == "event"
    assert isinstance(theirs["created_at"], int)


@pytest.mark.parametrize(
    ("verdict", "kind"),
    [("schema", "failed"), ("truncated", "incomplete"), ("refused", "incomplete")],
)
def test_a_failed_check_has_openais_word(scene: Scene, verdict: str, kind: str) -> None:
    scene.add_endpoint("https://two.example.com/", format="openai")
    job_id = add_job(scene.db, scene.account, scene.version)
    scene.db.execute(
        "UPDATE jobs SET status = 'failed', error_code = 'checks_failed', error_message = %s"
        " WHERE id = %s",
        (f"{verdict}: it is wrong", job_id),
    )
    announce(scene.db, "job.failed", job_id)

    (body,) = bodies(scene)
    assert body["type"] == f"response.{kind}"
    assert "it is wrong" not in str(body)


def test_the_form_of_an_endpoint_is_changed(scene: Scene) -> None:
    endpoint_id, _ = scene.add_endpoint("https://two.example.com/")
    assert get_endpoint(scene.db, scene.account, endpoint_id).format == "tierline"
    changed = change_endpoint(scene.db, scene.account, endpoint_id, format="openai")
    assert changed.format == "openai"
    with pytest.raises(InvalidInput, match="tierline, openai"):
        change_endpoint(scene.db, scene.account, endpoint_id, format="xml")
