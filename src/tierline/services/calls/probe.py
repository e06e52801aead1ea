"""Probing a model whose circuit is open, because a person says that its fault is mended."""

from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict, NotFound
from tierline.base.json_text import short
from tierline.services.accounts.audit import PROBED, Entry
from tierline.storage.accounts import audit
from tierline.storage.calls import circuits
from tierline.storage.calls.circuits import Circuit


def probe_now(connection: Connection[Any], account_id: int, key_id: int, model: str) -> Circuit:
    """Let the next waiting job of the model go out as its probe, instead of at the next interval.
    It is logged with the key. If a probe may go out already, nothing changes and nothing is logged.

    Raises NotFound for a model that never failed, and Conflict if there is nothing to probe: its
    circuit is closed, or a probe is under way.
    """
    with connection.transaction():
        changed = "\x00" not in model and circuits.probe_now(connection, model)
        if changed:
            audit.add(connection, Entry(account_id, key_id, PROBED, detail={"model": model}))
    for circuit in circuits.every(connection):
        if circuit.model == model:
            if changed or (circuit.open and (circuit.probe_in_s or 0.0) <= 0):
                return circuit
            state = "a probe is under way" if circuit.open else "its circuit is closed"
            raise Conflict(f"{model}: {state}")
    raise NotFound(f"there is no circuit of a model {short(model)}")
