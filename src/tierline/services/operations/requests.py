"""What callers ask of operations: to start one, to see how it stands, to cancel it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict, NotFound
from tierline.base.json_text import JSON
from tierline.storage.operations import operations
from tierline.storage.operations.operations import Row


@dataclass(frozen=True)
class Request:
    """An operation that a caller wants."""

    feature: str
    kind: str
    options: dict[str, JSON]
    account_id: int  # whose caller asks
    readable_account_id: int | None  # whose jobs' content it may read; None: every account's


def start(connection: Connection[Any], request: Request, noun: str) -> tuple[Row, bool]:
    """The operation, and whether it is new: one that is open with the same options is the one that
    is meant. Raises Conflict while another of its kind is open for the feature, named by `noun`.
    """
    while True:
        row = operations.add_operation(
            connection,
            {
                "feature": request.feature,
                "kind": request.kind,
                "account_id": request.account_id,
                "readable_account_id": request.readable_account_id,
                "options": request.options,
            },
        )
        if row is not None:
            return row, True
        row = operations.open_operation(connection, request.feature, request.kind)
        if row is None:
            continue  # it has just ended
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
) -> Row:
    """How it stands. Raises NotFound."""
    return _known(operations.operation(connection, feature, id, kinds), feature, id, noun)


def cancel(
    connection: Connection[Any], feature: str, id: int, kinds: Collection[str], noun: str
) -> Row:
    """Ask for its end: a queued one is cancelled, one in progress ends within seconds, one that has
    ended stays as it is. Raises NotFound.
    """
    return _known(operations.ask_to_cancel(connection, feature, id, kinds), feature, id, noun)


def _known(row: Row | None, feature: str, id: int, noun: str) -> Row:
    if row is None:
        raise NotFound(f"the feature {feature[:80]!r} has no {noun} {id}")
    return row
