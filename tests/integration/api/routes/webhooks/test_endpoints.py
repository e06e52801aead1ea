"""/v1/webhook-endpoints and /v1/webhook-deliveries over HTTP."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from tests.support.database.rows import add_account
from tests.support.fake_servers.webhook_receiver import Receiver, status
from tests.support.scenes.webhooks import LOOPBACK, Scene
from tierline.base.ids import new_id
from tierline.base.settings import Settings
from tierline.services.accounts.accounts import create_key
from tierline.services.webhooks import endpoints
from tierline.services.webhooks.endpoints import MOST_ENDPOINTS
from tierline.webhooks.addresses import OTHER_PORTS_END

URL = "https://hooks.example.com/jobs"
ENDPOINTS = "/v1/webhook-endpoints"
DELIVERIES = "/v1/webhook-deliveries"

Header = dict[str, str]


@pytest.fixture
def client(fresh_database_url: str) -> Iterator[TestClient]:
    config = Settings.model_validate(
        {"DATABASE_URL": fresh_database_url, "webhook_allow": LOOPBACK}
    )
    with TestClient(create_app(config)) as one:
        yield one


def key(scene: Scene, account: str, *scopes: str) -> Header:
    made = create_key(scene.db, account, scopes or ("submit", "read"))
    return {"Authorization": f"Bearer {made.key}"}


@pytest.fixture
def own(scene: Scene) -> Header:
    return key(scene, "acme")


@pytest.fixture
def other(scene: Scene) -> Header:
    add_account(scene.db, "other")
    return key(scene, "other")


def register(client: TestClient, own: Header, **body: Any) -> dict[str, Any]:
    answer = client.post(ENDPOINTS, json={"url": URL, **body}, headers=own)
    assert answer.status_code == 201, answer.text
    endpoint: dict[str, Any] = answer.json()
    return endpoint


def test_a_registered_endpoint_is_shown_with_its_secret_once(
    client: TestClient, own: Header
) -> None:
    answer = client.post(
        ENDPOINTS,
        json={"url": URL, "events": ["job.failed"], "description": "pager"},
        headers=own,
    )

    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    assert made.pop("secret").startswith("whsec_")
    assert made["events"] == ["job.failed"]
    assert made["disabled"] is False
    assert client.get(answer.headers["location"], headers=own).json() == made
    assert client.get(ENDPOINTS, headers=own).json() == {"data": [made], "next_cursor": None}


def test_each_field_that_does_not_fit_is_named(client: TestClient, own: Header) -> None:
    answer = client.post(
        ENDPOINTS,
        json={"url": "http://169.254.169.254/", "events": ["job.done"], "include": ["input"]},
        headers=own,
    )

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [one["path"] for one in answer.json()["errors"]] == ["/url", "/events/0", "/include/0"]


@pytest.mark.parametrize("body", [{}, {"url": 7}, {"url": URL, "colour": "red"}, []])
def test_a_body_of_another_shape_is_refused(client: TestClient, own: Header, body: object) -> None:
    assert client.post(ENDPOINTS, json=body, headers=own).status_code == 422


def test_an_endpoint_can_be_changed_disabled_and_enabled_again(
    client: TestClient, own: Header
) -> None:
    place = f"{ENDPOINTS}/{register(client, own)['id']}"

    off = client.patch(place, json={"disabled": True}, headers=own).json()
    assert (off["disabled"], off["disabled_reason"]) == (True, "disabled by its account")
    assert off["url"] == URL

    on = client.patch(place, json={"disabled": False, "events": ["job.failed"]}, headers=own)
    assert on.json()["disabled"] is False
    assert on.json()["disabled_reason"] is None
    assert on.json()["events"] == ["job.failed"]

    assert client.patch(place, json={"url": "http://10.0.0.1/"}, headers=own).status_code == 422


def test_an_endpoint_says_how_much_it_takes_and_whether_it_hears_of_rows(
    client: TestClient, own: Header
) -> None:
    usual = register(client, own)
    assert (usual["max_in_flight"], usual["batch_rows"]) == (2, False)
    made = register(client, own, max_in_flight=32, batch_rows=True)
    assert (made["max_in_flight"], made["batch_rows"]) == (32, True)
    place = f"{ENDPOINTS}/{made['id']}"

    same = client.patch(place, json={"description": "x"}, headers=own).json()
    assert (same["max_in_flight"], same["batch_rows"]) == (32, True)
    changed = client.patch(place, json={"max_in_flight": 1, "batch_rows": False}, headers=own)
    assert changed.status_code == 200
    shown = client.get(place, headers=own).json()
    assert (shown["max_in_flight"], shown["batch_rows"]) == (1, False)


@pytest.mark.parametrize("asked", [0, -1, 65, 10**12])
def test_no_endpoint_takes_more_at_once_than_the_installation_lets(
    client: TestClient, own: Header, asked: int
) -> None:
    place = f"{ENDPOINTS}/{register(client, own)['id']}"
    answers = [
        client.post(ENDPOINTS, json={"url": URL, "max_in_flight": asked}, headers=own),
        client.patch(place, json={"max_in_flight": asked}, headers=own),
    ]
    for answer in answers:
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["path"] == "/max_in_flight"
        assert "from 1 to 64 (TIERLINE_WEBHOOK_MAX_IN_FLIGHT" in error["message"]


@pytest.mark.parametrize("asked", ["4", 4.5, True])
def test_what_is_not_a_number_at_once_is_refused(
    client: TestClient, own: Header, asked: object
) -> None:
    body = {"url": URL, "max_in_flight": asked}
    assert client.post(ENDPOINTS, json=body, headers=own).status_code == 422


PUBLIC_PORT = "http://8.8.8.8:6379/"


def test_an_endpoint_on_another_port_is_refused_and_the_setting_named(
    client: TestClient, own: Header
) -> None:
    place = f"{ENDPOINTS}/{register(client, own)['id']}"
    for answer in (
        client.post(ENDPOINTS, json={"url": PUBLIC_PORT}, headers=own),
        client.patch(place, json={"url": PUBLIC_PORT}, headers=own),
    ):
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["path"] == "/url"
        assert "TIERLINE_WEBHOOK_PORTS" in error["message"]


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/jobs", {"input": {"text": "hello"}}), ("/v1/batches", {})]
)
def test_a_webhook_url_on_another_port_is_refused_and_the_setting_named(
    client: TestClient, own: Header, path: str, body: dict[str, Any]
) -> None:
    submission = {
        "feature": "echo",
        "webhook_url": "https://hooks.example.com:8443/?t=hunter2",
        **body,
    }

    answer = client.post(path, json=submission, headers=own)

    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["path"] == "/webhook_url"
    assert "TIERLINE_WEBHOOK_PORTS" in error["message"]
    assert "hunter2" not in answer.text


def test_an_endpoint_from_before_ports_were_limited_is_shown_with_a_warning(
    client: TestClient, scene: Scene, own: Header
) -> None:
    made = register(client, own)
    place = f"{ENDPOINTS}/{made['id']}"
    assert made["warning"] is None
    scene.db.execute(
        "UPDATE webhook_endpoints SET url = %s, any_port = true", (PUBLIC_PORT + "?token=hunter2",)
    )

    warning = client.get(place, headers=own).json()["warning"]
    assert "port 6379" in warning
    assert OTHER_PORTS_END in warning
    assert "hunter2" not in warning
    (listed,) = client.get(ENDPOINTS, headers=own).json()["data"]
    assert listed["warning"] == warning
    kept = client.patch(place, json={"description": "as it was"}, headers=own).json()
    assert kept["warning"] == warning

    changed = client.patch(place, json={"url": URL}, headers=own).json()
    assert changed["warning"] is None
    scene.db.execute("UPDATE webhook_endpoints SET url = %s", (PUBLIC_PORT,))
    assert scene.db.execute("SELECT any_port FROM webhook_endpoints").fetchall() == [(False,)]


def test_a_removed_endpoint_is_gone(client: TestClient, own: Header) -> None:
    place = f"{ENDPOINTS}/{register(client, own)['id']}"

    assert client.delete(place, headers=own).status_code == 204
    assert client.delete(place, headers=own).status_code == 404
    assert client.get(place, headers=own).status_code == 404


def test_a_rotated_secret_is_shown_once_with_the_end_of_the_overlap(
    client: TestClient, own: Header
) -> None:
    made = register(client, own)
    place = f"{ENDPOINTS}/{made['id']}"

    answer = client.post(f"{place}/rotate-secret", json={}, headers=own)

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["secret"] != made["secret"]
    assert answer.json()["old_secret_until"] is not None
    assert "secret" not in client.get(place, headers=own).json()
    refused = client.post(f"{place}/rotate-secret", json={"overlap_hours": -1}, headers=own)
    assert refused.status_code == 422


def test_an_account_has_a_bounded_number_of_endpoints(client: TestClient, own: Header) -> None:
    for _ in range(MOST_ENDPOINTS):
        register(client, own)

    assert client.post(ENDPOINTS, json={"url": URL}, headers=own).status_code == 409


def test_endpoints_are_listed_in_pages_the_newest_first(client: TestClient, own: Header) -> None:
    made = [register(client, own)["id"] for _ in range(3)]

    first = client.get(ENDPOINTS, params={"limit": 2}, headers=own).json()
    second = client.get(
        ENDPOINTS, params={"limit": 2, "cursor": first["next_cursor"]}, headers=own
    ).json()

    listed = [one["id"] for one in first["data"] + second["data"]]
    assert listed == made[::-1]
    assert second["next_cursor"] is None


def test_another_accounts_endpoints_and_deliveries_do_not_exist(
    client: TestClient, scene: Scene, own: Header, other: Header
) -> None:
    endpoint = f"{ENDPOINTS}/{register(client, own)['id']}"
    scene.end_job()
    delivery = f"{DELIVERIES}/{client.get(DELIVERIES, headers=own).json()['data'][0]['id']}"

    assert client.get(ENDPOINTS, headers=other).json()["data"] == []
    assert client.get(DELIVERIES, headers=other).json()["data"] == []
    answers = [
        client.get(endpoint, headers=other),
        client.patch(endpoint, json={"disabled": True}, headers=other),
        client.delete(endpoint, headers=other),
        client.post(f"{endpoint}/rotate-secret", json={}, headers=other),
        client.post(f"{endpoint}/test", headers=other),
        client.get(delivery, headers=other),
        client.post(f"{delivery}/resend", headers=other),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert client.get(endpoint, headers=own).json()["disabled"] is False


@pytest.mark.parametrize("scope", ["read", "submit"])
def test_a_key_that_cannot_both_submit_and_read_changes_no_endpoint(
    client: TestClient, scene: Scene, own: Header, scope: str
) -> None:
    small = key(scene, "acme", scope)
    endpoint = f"{ENDPOINTS}/{register(client, own)['id']}"

    answers = [
        client.post(ENDPOINTS, json={"url": URL}, headers=small),
        client.patch(endpoint, json={"disabled": True}, headers=small),
        client.delete(endpoint, headers=small),
        client.post(f"{endpoint}/rotate-secret", json={}, headers=small),
        client.post(f"{endpoint}/test", headers=small),
        client.post(f"{DELIVERIES}/{new_id()}/resend", headers=small),
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert client.get(endpoint, headers=small).status_code == (200 if scope == "read" else 403)


@pytest.mark.parametrize("text", ["x", "01a20e54-18d6-7a38-8f75-084a3523c9e4", "0" * 500])
def test_an_unknown_id_is_not_found(client: TestClient, own: Header, text: str) -> None:
    assert client.get(f"{ENDPOINTS}/{text}", headers=own).status_code == 404
    assert client.get(f"{DELIVERIES}/{text}", headers=own).status_code == 404
    assert client.post(f"{DELIVERIES}/{text}/resend", headers=own).status_code == 404


def test_deliveries_are_listed_by_endpoint_status_and_job_in_pages(
    client: TestClient, scene: Scene, own: Header, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = register(client, own)["id"]
    jobs = [scene.end_job() for _ in range(3)]
    register(client, own)
    both = scene.end_job()

    def listed(**query: Any) -> list[dict[str, Any]]:
        answer = client.get(DELIVERIES, params=query, headers=own)
        assert answer.status_code == 200, answer.text
        deliveries: list[dict[str, Any]] = answer.json()["data"]
        return deliveries

    assert len(listed()) == 5
    assert [row["job_id"] for row in listed(endpoint_id=one)] == [
        str(job) for job in [both, *jobs[::-1]]
    ]
    assert len(listed(job_id=both)) == 2
    assert listed(status="failed") == []
    first = client.get(DELIVERIES, params={"limit": 4}, headers=own).json()
    assert len(first["data"]) == 4
    assert len(listed(limit=4, cursor=first["next_cursor"])) == 1

    monkeypatch.setattr(endpoints, "MOST_EXAMINED", 3)
    query = {"endpoint_id": one}
    newest = client.get(DELIVERIES, params=query, headers=own).json()
    assert [row["job_id"] for row in newest["data"]] == [str(both), str(jobs[2])]
    rest = client.get(
        DELIVERIES, params={**query, "cursor": newest["next_cursor"]}, headers=own
    ).json()
    assert [row["job_id"] for row in rest["data"]] == [str(jobs[1]), str(jobs[0])]
    assert rest["next_cursor"] is None


def test_a_delivery_can_be_sent_again_under_its_webhook_id(
    client: TestClient, scene: Scene, own: Header, receiver: Receiver
) -> None:
    register(client, own, url=receiver.url)
    scene.end_job()
    scene.deliver_due()
    (delivered,) = client.get(DELIVERIES, params={"status": "delivered"}, headers=own).json()[
        "data"
    ]

    answer = client.post(f"{DELIVERIES}/{delivered['id']}/resend", headers=own)

    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["tries"]) == ("pending", 0)
    scene.deliver_due()
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == delivered["webhook_id"]
    assert first.body == second.body


def test_a_failed_delivery_has_its_whole_schedule_again(
    client: TestClient, scene: Scene, own: Header, receiver: Receiver
) -> None:
    receiver.manner = status(410)
    scene.end_job(url=receiver.url)
    (delivery_id,) = scene.deliver_due()
    failed = client.get(f"{DELIVERIES}/{delivery_id}", headers=own).json()
    assert (failed["status"], failed["last_status"]) == ("failed", 410)
    assert failed["next_try_at"] is None

    receiver.manner = status(500)
    client.post(f"{DELIVERIES}/{delivery_id}/resend", headers=own)
    scene.deliver_due()

    again = client.get(f"{DELIVERIES}/{delivery_id}", headers=own).json()
    assert (again["status"], again["tries"], again["last_status"]) == ("pending", 1, 500)
    assert again["next_try_at"] is not None


def test_nothing_is_sent_again_to_an_endpoint_that_takes_no_more_or_while_it_is_tried(
    client: TestClient, scene: Scene, own: Header
) -> None:
    endpoint = f"{ENDPOINTS}/{register(client, own)['id']}"
    scene.end_job()
    (delivery_id,) = scene.choose()
    resend = f"{DELIVERIES}/{delivery_id}/resend"

    scene.db.execute("UPDATE deliveries SET claim_token = %s, hint_no = NULL", (uuid4(),))
    assert client.post(resend, headers=own).status_code == 409

    scene.db.execute("UPDATE deliveries SET claim_token = NULL")
    client.patch(endpoint, json={"disabled": True}, headers=own)
    assert client.post(resend, headers=own).status_code == 409
    assert client.post(f"{endpoint}/test", headers=own).status_code == 409

    client.patch(endpoint, json={"disabled": False}, headers=own)
    assert client.post(resend, headers=own).status_code == 202

    client.delete(endpoint, headers=own)
    assert client.post(resend, headers=own).status_code == 409


def test_a_test_event_arrives(
    client: TestClient, scene: Scene, own: Header, receiver: Receiver
) -> None:
    made = register(client, own, url=receiver.url, events=["job.failed"])

    answer = client.post(f"{ENDPOINTS}/{made['id']}/test", headers=own)

    assert answer.status_code == 202
    assert answer.json()["event"] == "endpoint.test"
    scene.deliver_due()
    assert b'"type":"endpoint.test"' in receiver.requests[0].body
