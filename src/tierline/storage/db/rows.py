"""A statement's rows, as dictionaries by column or as values of a class."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar, cast

from psycopg import Connection, sql
from psycopg.rows import class_row, dict_row

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any] | None
Kind = TypeVar("Kind")


def declared_rows(kind: type[Kind]) -> Callable[[object], Callable[[Sequence[Any]], Kind]]:
    """A row factory for a statement whose select list is `columns(kind)`, for a TypedDict.

    psycopg's own factories read and decode the name of each column again for each statement.
    """
    names = tuple(kind.__annotations__)

    def made(values: Sequence[Any]) -> Kind:
        return cast(Kind, dict(zip(names, values, strict=True)))

    return lambda _: made


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


def typed_row(
    connection: Connection[Any],
    kind: type[Kind],
    statement: str | sql.Composed,
    parameters: Parameters = None,
) -> Kind | None:
    """The first row, as a `kind` whose fields are the columns; None: there is none."""
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(statement, parameters).fetchone()


def typed_rows(
    connection: Connection[Any],
    kind: type[Kind],
    statement: str | sql.Composed,
    parameters: Parameters = None,
) -> list[Kind]:
    """Every row in the statement's order, each as a `kind` whose fields are the columns."""
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(statement, parameters).fetchall()
