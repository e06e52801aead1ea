"""Starting an operation, reading its state and cancelling it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict, NotFound
from tierline.base.json_text import JSON
from tierline.storage.operations import operations
from tierline.views.operations.operations import OperationRow


@dataclass(frozen=True)
class Request:
    """An operation that a caller wants."""

    feature: str
    kind: str
    options: dict[str, JSON]
    account_id: int  # the caller's account
    # the account whose job content it may read; None: all accounts
    readable_account_id: int | None


def start(connection: Connection[Any], request: Request, noun: str) -> tuple[OperationRow, bool]:
    """Returns the operation and whether it is new. If an operation with the same options is open,
    that one is returned. Raises Conflict if the feature has an open operation of this kind with
    other options. `noun` names the kind in messages.
    """
    while True:
        row = operations.add_operation(
            connection,
            feature=request.feature,
            kind=request.kind,
            account_id=request.account_id,
            readable_account_id=request.readable_account_id,
            options=request.options,
        )
        if row is not None:
            return row, True
        row = operations.open_operation(connection, request.feature, request.kind)
        if row is None:
            continue  # the open operation has just ended
        same = (
            row["options"] == request.options
            and row["readable_account_id"] == request.readable_account_id
        )
        if not same:
            raise Conflict(
                f"{noun} {row['id']} of {request.feature} is {row['status']}, with other options: "
                "wait for it or cancel it"
            )
        return row, False


def operation_of(
    connection: Connection[Any], feature: str, id: int, kinds: Collection[str], noun: str
) -> OperationRow:
    """The operation's current row. Raises NotFound."""
    return _require_operation(
        operations.operation(connection, feature, id, kinds), feature, id, noun
    )


def cancel(
    connection: Connection[Any], feature: str, id: int, kinds: Collection[str], noun: str
) -> OperationRow:
    """Ask to cancel it. A queued operation is cancelled at once, and one in progress ends within
    seconds. An ended operation does not change. Raises NotFound.
    """
    return _require_operation(
        operations.ask_to_cancel(connection, feature, id, kinds), feature, id, noun
    )


def _require_operation(row: OperationRow | None, feature: str, id: int, noun: str) -> OperationRow:
    if row is None:
        raise NotFound(f"the feature {feature[:80]!r} has no {noun} {id}")
    return row
