"""DELETE /v1/batches/{id}/content: what it takes away, what it leaves, and when it is refused."""

import pytest

from tests.support.scenes.batches import Scene, rows
from tierline.services.accounts.accounts import create_account, create_key
from tierline.services.batches import batch_content


def ended(scene: Scene, count: int) -> str:
    """A completed batch of so many jobs and one bad row; its id."""
    batch = str(scene.open()["id"])
    body: list[object] = [*rows(count), {"custom_id": "bad", "input": {"text": 7}}]
    scene.put(batch, 1, body)
    scene.answer_queued()
    scene.seal(batch, 1)
    scene.complete()
    return batch


def remove(scene: Scene, batch: str) -> int:
    return scene.http.delete(f"/v1/batches/{batch}/content").status_code


def inputs(scene: Scene, batch: str) -> int:
    """How many jobs of the batch still have their input."""
    row = scene.connection.execute(
        "SELECT count(r.input) FROM jobs j JOIN job_requests r ON r.job_id = j.id"
        " WHERE j.batch_id = %s",
        (batch,),
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_inputs_outputs_and_what_was_said_of_bad_rows_go_and_the_books_stay(scene: Scene) -> None:
    batch = ended(scene, 5)
    other = ended(scene, 1)
    before = scene.get(batch)
    assert remove(scene, batch) == 200
    after = scene.get(batch)
    assert after["input_removed_at"]
    assert after | {"input_removed_at": None} == before
    assert (inputs(scene, batch), inputs(scene, other)) == (0, 1)
    content = scene.rows(batch)
    assert [row["custom_id"] for row in content] == [*(f"r{n}" for n in range(1, 6)), "bad"]
    assert all(row["output"] is None and row["output_removed_at"] for row in content[:5])
    assert content[5]["error"]["problems"] == [{"path": "", "message": "removed"}]
    assert remove(scene, batch) == 200
    assert scene.get(batch) == after


def test_what_one_request_leaves_the_next_removes(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_content, "REMOVE_S", 0.0)
    monkeypatch.setattr(batch_content, "AT_ONCE", 2)
    batch = ended(scene, 5)
    first = scene.http.delete(f"/v1/batches/{batch}/content")
    assert (first.status_code, inputs(scene, batch)) == (202, 3)
    assert int(first.headers["Retry-After"]) > 0
    answers = [remove(scene, batch) for _ in range(5)]
    assert answers[-1] == 200
    assert inputs(scene, batch) == 0


def test_a_job_that_another_holds_is_left_to_the_next_request(scene: Scene) -> None:
    batch = ended(scene, 3)
    with scene.connection.transaction():
        scene.connection.execute(
            "SELECT FROM jobs WHERE batch_id = %s AND custom_id = 'r2' FOR UPDATE", (batch,)
        )
        assert remove(scene, batch) == 202
    assert inputs(scene, batch) == 1
    assert remove(scene, batch) == 200
    assert inputs(scene, batch) == 0


def test_a_batch_whose_jobs_go_on_is_left_alone(scene: Scene) -> None:
    batch = str(scene.open()["id"])
    scene.put(batch, 1, rows(2))
    assert remove(scene, batch) == 409
    scene.seal(batch, 1)
    assert remove(scene, batch) == 409
    assert inputs(scene, batch) == 2
    scene.http.post(f"/v1/batches/{batch}/cancel")
    scene.complete()
    assert remove(scene, batch) == 200
    assert inputs(scene, batch) == 0


def test_another_account_removes_nothing(scene: Scene) -> None:
    batch = ended(scene, 1)
    create_account(scene.connection, "globex")
    key = create_key(scene.connection, "globex", ("submit", "read")).key
    answer = scene.http.delete(
        f"/v1/batches/{batch}/content", headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status_code == 404
    assert inputs(scene, batch) == 1
