"""A job that takes its worker with it each time: given up alone, its neighbours unharmed."""

import uuid

from tests.faults.breaking import fault
from tests.faults.orders import ACCOUNTS, Order
from tests.faults.scene import PATIENCE_S, ROWS_EVERY_S, Scene
from tests.support.waiting import wait_until

PROCESS_OF = {"slm": "slm", "quarantine": "quarantine"}  # by the worker's name: up's name for it
HELD = """
SELECT a.worker, a.number FROM jobs j JOIN attempts a ON a.job_id = j.id AND a.number = j.attempts
JOIN calls c ON c.job_id = j.id AND c.attempt = a.number
WHERE j.id = %s AND j.status = 'in_progress'
"""


@fault("a poison job", loses_workers=True, short=False)
def poison(scene: Scene) -> None:
    """Whoever calls a model for it is killed: twice beside others, once alone."""
    order = Order(f"poison-{uuid.uuid4().hex[:8]}", "poison", ACCOUNTS[0])
    with scene.client(scene.keys[order.account]) as client:
        body = {"feature": order.feature, "input": order.input}
        job_id = client.post("/v1/jobs", json=body).raise_for_status().json()["id"]
    killed: list[tuple[str, int]] = []
    for _ in range(3):
        held = wait_until(
            lambda: [row for row in scene.rows(HELD, job_id) if row not in killed],
            PATIENCE_S,
            f"the poison job to be taken again after {killed}",
            ROWS_EVERY_S,
        )
        worker, number = held[0]
        scene.kill(PROCESS_OF[worker])
        killed.append((worker, number))
    assert killed[-1][0] == "quarantine", f"the poison job ran beside others: {killed}"
    assert "quarantine" not in [worker for worker, _ in killed[:-1]]
    wait_until(
        lambda: scene.rows("SELECT 1 FROM jobs WHERE id = %s AND status = 'failed'", job_id),
        PATIENCE_S,
        "the poison job to be given up",
        ROWS_EVERY_S,
    )
    ((code,),) = scene.rows("SELECT error_code FROM jobs WHERE id = %s", job_id)
    assert code == "worker_lost", f"the poison job failed as {code}"
