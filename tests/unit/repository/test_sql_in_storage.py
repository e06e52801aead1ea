"""SQL stands in `tierline.storage` alone: nobody else writes a statement or sends a wake-up."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STORAGE = ROOT / "src" / "tierline" / "storage"
WAKE_UPS = {STORAGE / "db" / "notify.py", STORAGE / "db" / "wake_ups.py"}

# Files of one command's own in SQLite, which the database of the product has no part in.
SQLITE = {
    ROOT / "src" / "tierline" / "cli" / "improve" / "training" / "embedding.py",
    ROOT / "src" / "tierline" / "cli" / "run" / "backfill" / "unique_ids.py",
}

WORDS = (
    "ALTER|ANALYZE|BEGIN|CALL|COMMIT|COPY|CREATE|DELETE|DROP|EXPLAIN|GRANT|INSERT|LISTEN|LOCK"
    "|MERGE|NOTIFY|REASSIGN|RESET|REVOKE|ROLLBACK|SELECT|SET|SHOW|TRUNCATE|UNLISTEN|UPDATE|VACUUM"
    "|VALUES|WITH"
)
STATEMENT = re.compile(rf"\s*({WORDS})\s")
NOTIFY = re.compile(r"\bNOTIFY\s|\bpg_notify\b")
BUILDERS = ("alembic", "sqlalchemy", "psycopg.sql")
SUSPECT = re.compile(rf"\b({WORDS}|alembic|sqlalchemy|sql)\b")
"""A module without any of these is not parsed, which takes a hundred times as long."""


def modules() -> list[Path]:
    """Every module of the product that is not the storage's."""
    found = [path for top in ("src", "api", "workers") for path in (ROOT / top).rglob("*.py")]
    return [path for path in found if not path.is_relative_to(STORAGE)]


@functools.cache
def nodes_of(source: str) -> list[ast.AST]:
    """Every node of a module."""
    return list(ast.walk(ast.parse(source)))


def strings(nodes: list[ast.AST]) -> Iterator[ast.Constant]:
    """The string literals, those at the beginning of an f-string too, but for docstrings."""
    docstrings = {
        id(body[0].value)
        for node in nodes
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and (body := node.body)
        and isinstance(body[0], ast.Expr)
    }
    for node in nodes:
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if id(node) not in docstrings:
            yield node


def sql_in(source: str) -> list[str]:
    """What of a module is SQL: `line: text` for a literal, `line: import NAME` for a builder."""
    if not SUSPECT.search(source):
        return []
    nodes = nodes_of(source)
    found = [
        f"{node.lineno}: {' '.join(str(node.value).split())[:60]}"
        for node in strings(nodes)
        if STATEMENT.match(str(node.value))
    ]
    for node in nodes:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found += [
            f"{node.lineno}: import {builder}"
            for builder in BUILDERS
            if any(name == builder or name.startswith(f"{builder}.") for name in names)
        ]
    return found


def test_no_module_outside_the_storage_has_sql() -> None:
    found = {
        str(path.relative_to(ROOT)): sql_in(path.read_text())
        for path in modules()
        if path not in SQLITE
    }
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize("path", sorted(SQLITE), ids=lambda path: path.name)
def test_what_may_have_sql_of_its_own_speaks_to_sqlite_alone(path: Path) -> None:
    source = path.read_text()
    assert sql_in(source), "it needs no exception any more"
    assert "import sqlite3" in source
    assert "psycopg" not in source


def test_wake_ups_are_sent_by_their_own_connections_alone() -> None:
    """A NOTIFY inside a transaction would serialise commits."""
    paths = [path for path in [*modules(), *STORAGE.rglob("*.py")] if path not in WAKE_UPS]
    senders = [
        str(path.relative_to(ROOT))
        for path in paths
        if "notify" in (source := path.read_text()).lower()
        and any(NOTIFY.search(str(node.value)) for node in strings(nodes_of(source)))
    ]
    assert senders == []


@pytest.mark.parametrize(
    "source",
    [
        'connection.execute("SELECT clock_timestamp()")',
        'connection.execute(f"NOTIFY {READY}")',
        'STATEMENT = """\n  WITH due AS (SELECT 1)\n  UPDATE jobs SET status = 1"""',
        'connection.execute("INSERT INTO jobs" " VALUES (1)")',
        "import sqlalchemy as sa",
        "from sqlalchemy.exc import OperationalError",
        "from psycopg import Connection, sql",
    ],
)
def test_sql_put_back_is_found(source: str) -> None:
    assert len(sql_in(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        'api.request("DELETE", "/v1/keys/1")',
        '"""SELECT is what the storage says."""',
        "from psycopg import Connection",
        'say("SELECTED: 3 rows")',
    ],
)
def test_what_only_looks_like_sql_is_not(source: str) -> None:
    assert sql_in(source) == []
