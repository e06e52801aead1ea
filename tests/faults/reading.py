"""Waiting until a round is quiet, and reading both halves of its books."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx

from tests.faults.load import Accepted
from tests.faults.orders import ACCOUNTS, mark_of
from tests.faults.scene import PATIENCE_S, Scene
from tests.faults.snapshot import (
    AttemptRow,
    CallRow,
    DeliveryRow,
    JobRow,
    OutFile,
    OutRow,
    Snapshot,
)
from tests.support.fake_servers.model_ledger import read_ledger
from tests.support.waiting import wait_until

Result = TypeVar("Result")

ASKING = 8  # threads that ask the API for the jobs of a round
QUIET_S = 180.0  # for the last job of a round to end; the books say what did not

JOBS = """
SELECT j.id, r.input, j.status, j.error_code, a.output, j.escalation_reason IS NOT NULL,
    (SELECT count(*) FROM watched_endings w WHERE w.job_id = j.id)
FROM jobs j JOIN job_requests r ON r.job_id = j.id
LEFT JOIN answers a ON a.job_id = j.id AND a.attempt = j.answer_attempt
WHERE r.input ->> 'text' LIKE %s
"""
CALLS = """
SELECT c.job_id, c.attempt, c.number, c.settled_at IS NOT NULL, c.cost_usd, c.provider_request_id
FROM calls c JOIN job_requests r ON r.job_id = c.job_id
WHERE r.input ->> 'text' LIKE %s ORDER BY c.job_id, c.attempt, c.number
"""
DELIVERIES = """
SELECT d.id, coalesce(d.job_id, d.batch_id), d.event,
    CASE WHEN d.next_try_at > clock_timestamp() AND d.status = 'pending' THEN 'put off'
        ELSE d.status END,
    d.url
FROM deliveries d
LEFT JOIN job_requests r ON r.job_id = d.job_id
LEFT JOIN batches b ON b.id = d.batch_id
WHERE r.input ->> 'text' LIKE %s OR b.idempotency_key LIKE %s
"""
UNQUIET = """
SELECT count(*) FILTER (WHERE j.completed_at IS NULL),
    (SELECT count(*) FROM batches WHERE status = 'sealed'),
    (SELECT count(*) FROM deliveries WHERE status = 'pending'
        AND next_try_at < clock_timestamp() + interval '1 minute')
FROM jobs j JOIN job_requests r ON r.job_id = j.id WHERE r.input ->> 'text' LIKE %s
"""
LAST_END = """
SELECT extract(epoch FROM max(j.completed_at))::float8 FROM jobs j
JOIN job_requests r ON r.job_id = j.id
WHERE r.input ->> 'text' LIKE %s AND j.created_at <= to_timestamp(%s)
"""
COSTS = """
SELECT a.name, coalesce(sum(c.cost_usd), 0) FROM accounts a LEFT JOIN calls c ON c.account_id = a.id
GROUP BY a.name
"""


def of_round(name: str) -> str:
    """What the inputs of a round's jobs look like, for LIKE."""
    return f"%[{name}-%"


def wait_quiet(scene: Scene, name: str) -> None:
    """Return when every job of the round has ended and all is told; or when it takes too long."""
    deadline = time.monotonic() + QUIET_S
    while time.monotonic() < deadline:
        ((jobs, batches, deliveries),) = scene.rows(UNQUIET, of_round(name))
        if jobs == batches == deliveries == 0:
            return
        time.sleep(0.1)


def last_end_s(scene: Scene, name: str, accepted_before_s: float) -> float | None:
    """When the last of the jobs ended that were there before that moment, in Unix seconds."""
    ((at,),) = scene.rows(LAST_END, of_round(name), accepted_before_s)
    return None if at is None else float(at)


def read_snapshot(
    scene: Scene, name: str, accepted: Accepted, *, since: int, workers_lost: bool
) -> Snapshot:
    """Both halves of a round's books. `since`: the ledger's last call before it, for calls without
    a mark tell no round."""
    like = of_round(name)
    calls: dict[tuple[UUID, int], list[tuple[Any, ...]]] = {}
    for job_id, attempt, *row in scene.rows(CALLS, like):
        calls.setdefault((job_id, attempt), []).append(tuple(row))
    clients = {account: scene.client(key) for account, key in scene.keys.items()}
    account_of = {mark: order.account for mark, order in accepted.orders.items()}

    def read(row: tuple[Any, ...]) -> JobRow:
        job_id, input, *rest = row
        mark = mark_of(input) or ""
        client = clients[account_of.get(mark, ACCOUNTS[0])]
        return _job(client, job_id, mark, calls, *rest)

    with ThreadPoolExecutor(ASKING) as threads:
        jobs = list(threads.map(read, scene.rows(JOBS, like)))
    ledger = read_ledger(scene.ledger)
    snapshot = Snapshot(
        orders=accepted.orders,
        batches=accepted.batches,
        jobs=jobs,
        deliveries=[
            DeliveryRow(f"msg_{id.hex}", of, event, status, url.rpartition("/")[2])
            for id, of, event, status, url in scene.rows(DELIVERIES, like, f"{name}-%")
        ],
        arrived=scene.receipts.arrived(),
        ledger={
            number: call
            for number, call in ledger.items()
            if call.note.startswith(f"{name}-") or (not call.note and number > since)
        },
        batch_outputs={
            batch_id: _output(clients[orders[0].account], batch_id)
            for batch_id, orders in accepted.batches.items()
        },
        files=[OutFile(orders, _out(path)) for orders, path in accepted.files],
        accounts_apart=_accounts_apart(scene, clients),
        workers_lost=workers_lost,
        listening=ACCOUNTS[-1],
    )
    for client in clients.values():
        client.close()
    return snapshot


def _job(
    client: httpx.Client,
    job_id: UUID,
    mark: str,
    calls: dict[tuple[UUID, int], list[tuple[Any, ...]]],
    status: str,
    error_code: str | None,
    output: Any,
    escalated: bool,
    endings: int,
) -> JobRow:
    shown = _get(client, f"/v1/jobs/{job_id}").json()
    attempts = []
    for attempt in _get(client, f"/v1/jobs/{job_id}/attempts").json()["data"]:
        shown_calls = {call["number"]: call["cost_usd"] for call in attempt["calls"]}
        rows = tuple(
            CallRow(*row, shown_usd=_usd(shown_calls.pop(row[0], None)))
            for row in calls.get((job_id, attempt["number"]), ())
        )
        assert not shown_calls, f"{job_id} is shown calls that have no row"
        attempts.append(
            AttemptRow(attempt["number"], attempt["verdict"], Decimal(attempt["cost_usd"]), rows)
        )
    return JobRow(
        id=job_id,
        mark=mark,
        status=status,
        output=output,
        error_code=error_code,
        escalated=escalated,
        endings=endings,
        shown_usd=Decimal(shown["cost_usd"]),
        shown_unknown=shown["unknown_cost_calls"],
        attempts=tuple(attempts),
    )


def _usd(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _output(client: httpx.Client, batch_id: str) -> list[str]:
    lines = _get(client, f"/v1/batches/{batch_id}/output").text.splitlines()
    return [json.loads(line)["custom_id"] for line in lines]


def _out(path: Path) -> list[OutRow]:
    """What a backfill wrote."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [OutRow(row["id"], row["status"], row["output"]) for row in rows]


def _accounts_apart(scene: Scene, clients: dict[str, httpx.Client]) -> Decimal:
    """What accounts are shown that they used, against their calls."""
    booked = dict(scene.rows(COSTS))
    apart = Decimal(0)
    for account, client in clients.items():
        shown = _get(client, "/v1/usage").json()["data"]
        apart += abs(sum((Decimal(row["cost_usd"]) for row in shown), Decimal(0)) - booked[account])
    return apart


def _get(client: httpx.Client, path: str) -> httpx.Response:
    return wait_until(_asking(client, path), PATIENCE_S, f"{path} to answer", 0.2)


def _asking(client: httpx.Client, path: str) -> Callable[[], httpx.Response | None]:
    def ask() -> httpx.Response | None:
        try:
            answer = client.get(path)
        except httpx.TransportError:
            return None
        return answer if answer.is_success else None

    return ask
