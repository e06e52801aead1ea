"""Probing a model whose circuit is open, because a person says that its fault is mended."""

from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict, NotFound
from tierline.base.json_text import short
from tierline.storage.calls import circuits


def probe_now(connection: Connection[Any], model: str) -> None:
    """Let the next waiting job of the model go out as its probe, instead of at the next interval.

    Raises NotFound for a model that never failed, and Conflict if there is nothing to probe: its
    circuit is closed, or a probe is under way.
    """
    if "\x00" not in model and circuits.probe_now(connection, model):
        return
    for circuit in circuits.every(connection):
        if circuit.model == model:
            state = "a probe is under way" if circuit.open else "its circuit is closed"
            raise Conflict(f"{model}: {state}")
    raise NotFound(f"there is no circuit of a model {short(model)}")
