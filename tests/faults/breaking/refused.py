"""A provider that refuses a key, of one model in the middle of a feature's tiers."""

import uuid

from tests.faults.breaking import fault
from tests.faults.orders import ACCOUNTS
from tests.faults.scene import PATIENCE_S, ROWS_EVERY_S, Scene
from tests.support.database.rows import add_feature, add_job, three_tiers
from tests.support.waiting import wait_until

MODEL = "openai:mid"  # which the model server refuses; the others it answers
WAITING = 100
OPEN = "SELECT 1 FROM circuits WHERE model = %s AND open"
PASSED = """
SELECT count(*) FROM attempts WHERE job_id = ANY(%s) AND tier = 'frontier' AND ended_at IS NOT NULL
"""
OPEN_JOBS = "SELECT count(*) FROM jobs WHERE id = ANY(%s) AND completed_at IS NULL"


@fault("a refused model in the middle of three tiers", others_unharmed=True)
def refuse_middle(scene: Scene) -> None:
    """Its jobs wait; those of the last tier of the same version go on."""
    ((account,),) = scene.rows("SELECT id FROM accounts WHERE name = %s", ACCOUNTS[0])
    name = f"three-{uuid.uuid4().hex[:8]}"
    with scene.database() as connection:
        version = add_feature(connection, three_tiers(name))
        waiting = [
            add_job(connection, account, version, tier="mid", tier_index=1, input=_input(name))
            for _ in range(WAITING)
        ]
        wait_until(lambda: scene.rows(OPEN, MODEL), PATIENCE_S, "the key to be refused")
        last = [
            add_job(connection, account, version, tier="frontier", tier_index=2, input=_input(name))
            for _ in range(5)
        ]
    wait_until(
        lambda: scene.rows(PASSED, last) == [(len(last),)],
        scene.times.lease_s + 10.0,
        "the last tier's jobs to go on",
        ROWS_EVERY_S,
    )
    scene.last(scene.times.siege_s)
    left = scene.rows(OPEN_JOBS, waiting)
    assert left == [(WAITING,)], f"of the refused model's jobs {left} wait"
    with scene.client(scene.keys[ACCOUNTS[0]]) as client:
        for job_id in waiting:
            client.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()
    wait_until(
        lambda: scene.rows(OPEN_JOBS, waiting + last) == [(0,)],
        PATIENCE_S,
        "the others to be cancelled",
        ROWS_EVERY_S,
    )


def _input(name: str) -> dict[str, str]:
    return {"text": f"Parcel [{name} plain] has arrived."}
