"""/v1/batches over HTTP: what is taken once, what is refused, and what a batch says of itself."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import httpx
import psycopg
import pytest

from tests.support.scenes.batches import Scene, ndjson, rows
from tests.support.waiting import DEADLINE_S, wait_until


def test_the_same_key_opens_one_batch(scene: Scene) -> None:
    first = scene.open("k-1", metadata={"run": 1})
    assert scene.open("k-1", metadata={"run": 1})["id"] == first["id"]
    other = scene.http.post(
        "/v1/batches", json={"feature": "echo"}, headers={"Idempotency-Key": "k-1"}
    )
    assert other.status_code == 422
    batches = scene.http.get("/v1/batches", params={"idempotency_key": "k-1"}).json()["data"]
    assert [one["id"] for one in batches] == [first["id"]]


def test_an_unknown_feature_is_refused_by_name(scene: Scene) -> None:
    answer = scene.http.post("/v1/batches", json={"feature": "nope"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "/feature"


def test_a_part_sent_twice_is_taken_once(scene: Scene) -> None:
    batch = scene.open()["id"]
    first, second = scene.put(batch, 1, rows(3)), scene.put(batch, 1, rows(3))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert scene.jobs(batch) == 3


def test_another_body_under_the_same_number_is_a_conflict(scene: Scene) -> None:
    batch = scene.open()["id"]
    scene.put(batch, 1, rows(3))
    assert scene.put(batch, 1, rows(2)).status_code == 409
    assert scene.jobs(batch) == 3


def test_the_same_part_from_many_at_once_is_taken_once(scene: Scene) -> None:
    batch = scene.open()["id"]
    body = ndjson(rows(2000))
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(scene.put(batch, 1, body))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codes = sorted(answer.status_code for answer in answers)
    assert codes.count(201) == 1
    assert set(codes) <= {200, 201, 503}
    assert scene.jobs(batch) == 2000


def test_bad_rows_are_kept_with_line_and_problem_and_stop_nothing(scene: Scene) -> None:
    batch = scene.open()["id"]
    body = ndjson(rows(1)) + (
        b'{"custom_id": "x", "input": {"text": 5}, "line": 7}\n'
        b"not json\n"
        b"\n"
        b'{"custom_id": "y", "line": 9, "extra": 1}\n'
        b'{"input": {"text": "\xff"}}\n'
    )
    body += ndjson(rows(1, 2))
    answer = scene.put(batch, 1, body)
    assert answer.status_code == 201
    assert {key: answer.json()[key] for key in ("rows", "bad_rows")} == {"rows": 6, "bad_rows": 4}
    assert scene.jobs(batch) == 2
    bad = scene.rows(batch, "errors")
    assert [one["line"] for one in bad] == [7, None, 9, None]
    assert [one["error"]["problems"][0]["path"] for one in bad][:1] == ["/input/text"]
    assert {one["status"] for one in bad} == {"invalid"}


def test_a_part_of_another_type_or_empty_is_refused(scene: Scene) -> None:
    batch = scene.open()["id"]
    url = f"/v1/batches/{batch}/parts/1"
    assert scene.http.put(url, content=b"{}").status_code == 415
    assert scene.put(batch, 1, b"\n\n").status_code == 422
    assert scene.put(batch, 0, rows(1)).status_code == 422


def test_sealing_names_what_is_missing(scene: Scene) -> None:
    batch = scene.open()["id"]
    scene.put(batch, 2, rows(1))
    answer = scene.seal(batch, 3)
    assert answer.status_code == 409
    assert "1, 3" in answer.json()["detail"]
    scene.put(batch, 1, rows(1, 2))
    assert scene.seal(batch, 1).status_code == 409
    assert scene.seal(batch, 2).json()["status"] == "sealed"
    assert scene.seal(batch, 2).status_code == 200
    assert scene.put(batch, 3, rows(1)).status_code == 409
    assert scene.put(batch, 2, rows(1)).status_code == 200


def test_a_sealed_batch_completes_once_with_its_last_job(scene: Scene) -> None:
    batch = scene.open(webhook_url="http://127.0.0.1:9/hook")["id"]
    scene.put(batch, 1, rows(2))
    scene.seal(batch, 1)
    assert scene.complete() == []
    scene.answer_queued()
    assert [str(one) for one in scene.complete()] == [batch]
    assert scene.complete() == []
    assert scene.get(batch)["status"] == "completed"
    deliveries = scene.connection.execute(
        "SELECT count(*) FROM deliveries WHERE batch_id = %s", (batch,)
    ).fetchone()
    assert deliveries == (1,)


def test_an_empty_batch_completes_too(scene: Scene) -> None:
    batch = scene.open()["id"]
    scene.seal(batch, 0)
    assert [str(one) for one in scene.complete()] == [batch]


def test_counts_cost_and_tiers_add_up(scene: Scene) -> None:
    batch = scene.open()["id"]
    scene.put(batch, 1, [*rows(3), {"input": 1}])
    scene.answer_queued(cost_usd="0.25", fail=lambda text: text == "row 2")
    scene.put(batch, 2, rows(1, 4))
    stored = scene.get(batch)
    assert stored["counts"]["completed"] == 2
    assert stored["counts"]["failed"] == 1
    assert stored["counts"]["queued"] == 1
    assert (stored["rows"], stored["bad_rows"], stored["parts"]) == (5, 1, 2)
    assert stored["tiers"] == {"slm": {"unfinished": 1, "completed": 2, "unanswered": 1}}
    assert (stored["cost_usd"], stored["unknown_cost_calls"]) == ("0.75", 0)


def test_output_is_in_input_order_and_can_be_gone_on_with(scene: Scene) -> None:
    batch = scene.open()["id"]
    scene.put(batch, 2, rows(2, 3))
    scene.put(batch, 1, [*rows(2), {"custom_id": "bad", "input": 1}])
    scene.answer_queued()
    job_rows = scene.rows(batch)
    assert [one["custom_id"] for one in job_rows] == ["r1", "r2", "bad", "r3", "r4"]
    assert job_rows[0]["output"] == {"text": "ROW 1"}
    assert (job_rows[0]["verdict"], job_rows[0]["cost_usd"]) == ("passed", "0.001")
    assert [one["custom_id"] for one in scene.rows(batch, after=job_rows[2]["row"])] == ["r3", "r4"]
    assert len(scene.rows(batch, limit=1)) == 1


def test_cancelling_ends_what_waits_and_takes_no_more(scene: Scene) -> None:
    batch = scene.open()["id"]
    scene.put(batch, 1, rows(450))

    def cancelled() -> int:  # 202 if one request had not the time for all of them
        answer = scene.http.post(f"/v1/batches/{batch}/cancel")
        ended: int = answer.json()["counts"]["cancelled"]
        assert answer.status_code == (200 if ended == 450 else 202), answer.text
        return ended

    wait_until(lambda: cancelled() == 450, DEADLINE_S, "all to be cancelled")
    assert scene.http.post(f"/v1/batches/{batch}/cancel").json()["status"] == "cancelled"
    assert scene.put(batch, 2, rows(1)).status_code == 409
    assert scene.seal(batch, 1).status_code == 409


def test_two_pauses_at_once_are_one_and_a_repeated_resume_changes_nothing(scene: Scene) -> None:
    batch = scene.open()["id"]
    scene.put(batch, 1, rows(2))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: scene.http.post(f"/v1/batches/{batch}/pause"), range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.json()["paused_at"] for answer in answers} - {None}) == 1
    job = scene.http.get("/v1/jobs", params={"batch_id": batch}).json()["data"][0]
    assert job["waiting_for"]["kind"] == "paused"
    assert scene.put(batch, 2, rows(1, 3)).status_code == 201, "it still accepts parts"
    for _ in range(2):
        answer = scene.http.post(f"/v1/batches/{batch}/resume")
        assert (answer.status_code, answer.json()["paused_at"]) == (200, None)
    assert scene.get(batch)["counts"]["queued"] == 3


def test_an_ended_batch_is_neither_paused_nor_resumed(scene: Scene) -> None:
    batch = scene.open()["id"]
    scene.put(batch, 1, rows(2))
    scene.http.post(f"/v1/batches/{batch}/pause")
    assert scene.http.post(f"/v1/batches/{batch}/cancel").json()["paused_at"] is None
    for verb, done in (("pause", "paused"), ("resume", "resumed")):
        answer = scene.http.post(f"/v1/batches/{batch}/{verb}")
        assert answer.status_code == 409
        assert f"the batch is cancelled: it cannot be {done}" in answer.text
    other = scene.open()["id"]
    scene.http.post(f"/v1/batches/{other}/pause")
    scene.seal(other, 0)
    assert UUID(other) in scene.complete(), "without a waiting job it ends, paused or not"
    assert scene.get(other)["paused_at"] is None


def test_another_account_sees_nothing_of_it(scene: Scene) -> None:
    batch = scene.open()["id"]
    scene.http.post("/v1/accounts", json={"name": "other"})
    made = scene.http.post(
        "/v1/keys", json={"account": "other", "scopes": ["submit", "read"], "name": "k"}
    )
    assert made.status_code == 201, made.text
    headers = {"Authorization": f"Bearer {made.json()['key']}"}
    for path in ("", "/output", "/errors", "/parts"):
        response = scene.http.get(f"/v1/batches/{batch}{path}", headers=headers)
        assert response.status_code == 404
    assert scene.http.get("/v1/batches", headers=headers).json()["data"] == []


def test_input_is_kept_as_it_was_sent(scene: Scene) -> None:
    batch = scene.open()["id"]
    text = 'tab\there "quoted" back\\slash\nline\u2028 ünï 😀 \\N'
    scene.put(
        batch, 1, [{"custom_id": "a\tb\\", "input": {"text": text}, "metadata": {"m": "\\."}}]
    )
    row = scene.connection.execute(
        "SELECT r.input, r.metadata, j.custom_id FROM jobs j JOIN job_requests r ON r.job_id = j.id"
    ).fetchone()
    assert row == ({"text": text}, {"m": "\\."}, "a\tb\\")
    assert json.dumps(row[0]) == json.dumps({"text": text})


def test_a_row_whose_content_was_removed_says_so(scene: Scene) -> None:
    batch = scene.open()["id"]
    scene.put(batch, 1, rows(2))
    scene.seal(batch, 1)
    scene.answer_queued(cost_usd="0.25")
    first = scene.rows(batch)[0]
    assert scene.http.delete(f"/v1/jobs/{first['id']}/content").status_code == 200
    removed, kept = scene.rows(batch)
    assert (removed["output"], kept["output"]) == (None, {"text": "ROW 2"})
    assert removed["output_removed_at"]
    assert kept["output_removed_at"] is None
    assert (removed["status"], removed["verdict"], removed["cost_usd"]) == (
        *("completed", "passed"),
        "0.25",
    )


def test_a_part_may_take_longer_to_write_than_a_list_to_read(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, fresh_database_url: str
) -> None:
    monkeypatch.setenv("TIERLINE_STATEMENT_TIMEOUT_S", "0.3")
    scene: Scene = request.getfixturevalue("scene")
    batch = scene.open()["id"]
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(fresh_database_url) as one,
    ):
        one.execute("LOCK TABLE jobs IN SHARE MODE")
        sent = pool.submit(scene.put, batch, 1, [{"input": {"text": "a"}}])
        wait_until(
            lambda: scene.connection.execute(
                "SELECT 1 FROM pg_stat_activity WHERE application_name = 'tierline-api-cold'"
                " AND state = 'active' AND query_start < clock_timestamp() - interval '0.6 s'"
            ).fetchone(),
            DEADLINE_S,
            "the part to wait for longer than a list may",
        )
        one.rollback()
        assert sent.result().status_code == 201
