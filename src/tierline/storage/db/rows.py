"""A statement's rows as dictionaries by column."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from psycopg import Connection, sql
from psycopg.rows import dict_row

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any] | None


def one_row(
    connection: Connection[Any], statement: str | sql.Composed, parameters: Parameters = None
) -> dict[str, Any] | None:
    """The first row; None: there is none."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, parameters).fetchone()


def all_rows(
    connection: Connection[Any], statement: str, parameters: Parameters = None
) -> list[dict[str, Any]]:
    """Every row, in the statement's order."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, parameters).fetchall()
