"""What each statement reads: it is explained with ANALYZE, undone, and then really executed."""

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.adapt import PyFormat, Transformer

EXPLAINED = re.compile(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
MARK = re.compile(r"%(?:\((\w+)\)s|s|%)")
NONE_OF_ITS_OWN = re.compile(r"pg_(try_)?advisory|set_config|pg_notify")


@dataclass(frozen=True)
class Explained:
    """One statement and what its plan read."""

    text: str
    rows: int  # that its scans returned or threw away, over all loops
    blocks: int  # of 8 KiB, of tables and indexes
    worst: str  # the scan that read most

    def __str__(self) -> str:
        return f"{self.rows} rows, {self.blocks} blocks, most by {self.worst}: {self.text}"


@dataclass
class Recorded:
    """The statements of a test, in their order."""

    statements: list[Explained] = field(default_factory=list)

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Explain each statement of psycopg's cursors in this thread."""
        original = psycopg.Cursor.execute
        here = threading.get_ident()  # pools make their connections in threads of their own
        busy = False

        def execute(cursor: Any, query: Any, params: Any = None, **more: Any) -> Any:
            nonlocal busy
            if not busy and threading.get_ident() == here:
                busy = True
                try:
                    self._explain(cursor.connection, _text(query, cursor), params)
                finally:
                    busy = False
            return original(cursor, query, params, **more)

        psycopg.Cursor.execute = execute  # type: ignore[method-assign]
        try:
            yield
        finally:
            psycopg.Cursor.execute = original  # type: ignore[method-assign]

    def _explain(self, connection: psycopg.Connection[Any], text: str, params: Any) -> None:
        if not EXPLAINED.match(text) or NONE_OF_ITS_OWN.search(text):
            return
        # As the connection plans it: a prepared statement, so that plan_cache_mode counts.
        body, values = _numbered(text, params)
        literals = ", ".join(sql.Literal(value).as_string(connection) for value in values)
        with connection.transaction(force_rollback=True), psycopg.ClientCursor(connection) as one:
            types = ", ".join(_types(connection, one, values))
            one.execute(f"PREPARE explained {f'({types})' if types else ''} AS {body}".encode())
            try:
                call = f"EXECUTE explained({literals})" if values else "EXECUTE explained"
                one.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {call}".encode())
                (plan,) = one.fetchone() or ([],)
            finally:
                one.execute("DEALLOCATE explained")
        self.statements.append(_read(" ".join(text.split()), plan[0]["Plan"]))


def _types(
    connection: psycopg.Connection[Any], cursor: psycopg.ClientCursor[Any], values: Sequence[Any]
) -> list[str]:
    """The types that psycopg gives with the values; `unknown` is left to Postgres, as there."""
    transformer = Transformer.from_context(connection)
    transformer.dump_sequence(list(values), [PyFormat.AUTO] * len(values))
    oids = list(transformer.types or ())
    cursor.execute(
        "SELECT CASE oid WHEN 0 THEN 'unknown' ELSE format_type(oid, NULL) END"
        " FROM unnest(%s::oid[]) WITH ORDINALITY types (oid, place) ORDER BY place",
        (oids,),
    )
    return [name for (name,) in cursor.fetchall()]


def _text(query: Any, cursor: Any) -> str:
    if isinstance(query, bytes):
        return query.decode()
    return query if isinstance(query, str) else str(query.as_string(cursor.connection))


def _numbered(text: str, params: Any) -> tuple[str, Sequence[Any]]:
    """The statement with $1, $2, …, and their values."""
    if params is None:
        return text, ()
    names: dict[str, int] = {}
    values: list[Any] = []

    def place(match: re.Match[str]) -> str:
        name = match.group(1)
        if match.group() == "%%":
            return "%"
        if name is None:
            values.append(params[len(values)])
            return f"${len(values)}"
        if name not in names:
            assert isinstance(params, Mapping)
            values.append(params[name])
            names[name] = len(values)
        return f"${names[name]}"

    return MARK.sub(place, text), values


def _read(text: str, plan: Mapping[str, Any]) -> Explained:
    scans = [
        (_rows(node), node.get("Relation Name") or node.get("Index Name") or "", node["Node Type"])
        for node in _nodes(plan)
        if node["Node Type"].endswith("Scan") and ("Relation Name" in node or "Index Name" in node)
    ]
    rows, table, kind = max(scans, default=(0, "nothing", ""))
    return Explained(
        text,
        sum(count for count, _, _ in scans),
        plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
        f"{kind} of {table} ({rows})".strip(),
    )


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _rows(node: Mapping[str, Any]) -> int:
    # Without those that a recheck removes: a BRIN index gives ranges of blocks, counted as blocks.
    each = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return round(each * node["Actual Loops"])
