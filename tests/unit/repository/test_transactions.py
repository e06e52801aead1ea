"""Services open transactions; storage states what happens in them."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
STORAGE = ROOT / "src" / "tierline" / "storage"

METHODS = {"transaction", "commit", "rollback", "pipeline", "set_autocommit"}
POOLS = {"ConnectionPool", "AsyncConnectionPool", "connect"}
WORDS = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "START TRANSACTION")

# Path, or path and function: why it opens a connection or a transaction.
ALLOWED = {
    "db/": "it makes the pools, the connections and the transactions that services use",
    "upkeep/partitions.py:_make": "each partition is made alone, so that its lock is held briefly",
    "upkeep/history.py:_attach_again": "each partition is attached alone, for the same reason",
}


def opened(source: str) -> list[tuple[str, int]]:
    """Where a module opens a connection or begins or ends a transaction: function and line."""
    found: list[tuple[str, int]] = []

    def look(node: ast.AST, function: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.Call) and opens(node):
            found.append((function, node.lineno))
        for child in ast.iter_child_nodes(node):
            look(child, function)

    look(ast.parse(source), "")
    return found


def opens(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Attribute):
        name = call.func.attr
    elif isinstance(call.func, ast.Name):
        name = call.func.id
    else:
        return False
    if name in METHODS | POOLS:
        return True
    first = call.args[0] if name == "execute" and call.args else None
    return (
        isinstance(first, ast.Constant)
        and isinstance(first.value, str)
        and first.value.strip().upper().startswith(WORDS)
    )


def places() -> set[str]:
    """`path:function` of each place in the storage."""
    return {
        f"{path.relative_to(STORAGE)}:{function}"
        for path in STORAGE.rglob("*.py")
        for function, _ in opened(path.read_text())
    }


def test_only_named_places_of_the_storage_open_transactions() -> None:
    unnamed = {place for place in places() if not place.startswith(tuple(ALLOWED))}
    assert unnamed == set(), "open the transaction in a service, or name the place and the reason"


@pytest.mark.parametrize("allowed", ALLOWED)
def test_each_exception_is_still_needed(allowed: str) -> None:
    assert any(place.startswith(allowed) for place in places())


@pytest.mark.parametrize(
    "source",
    [
        "def f(c):\n    with c.transaction():\n        pass",
        "async def f(c):\n    async with c.transaction():\n        pass",
        "def f(c):\n    c.commit()",
        "def f(c):\n    c.execute('begin')",
        "def f(url):\n    return ConnectionPool(url)",
        "def f(url):\n    return psycopg.connect(url)",
    ],
)
def test_a_transaction_put_back_is_found(source: str) -> None:
    assert [function for function, _ in opened(source)] == ["f"]


@pytest.mark.parametrize(
    "source",
    [
        "def f(c):\n    return c.execute('SELECT 1')",
        "def f(c):\n    with c.cursor() as cursor:\n        return cursor.execute(BEGIN)",
    ],
)
def test_a_plain_statement_opens_nothing(source: str) -> None:
    assert opened(source) == []
