"""Migrations from 0034 on change the schema of a live database through `migrations.online` alone.

A statement of its own in a migration would wait for its locks for seconds, with every claim and
submission behind it.
"""

import ast
from pathlib import Path

import pytest

VERSIONS = Path(__file__).parents[3] / "migrations" / "versions"
FIRST = "0034"
FREE = {"get_context"}  # of `op`, without effect on a table
NEW = {"create_table"}  # a table that nobody uses yet
ON_NEW = {"create_index"}  # second argument: the table


def direct(source: str) -> list[str]:
    """The uses of Alembic's `op` outside `online.run`, but for what concerns new tables alone."""
    tree = ast.parse(source)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    through = {
        id(inner)
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and (call.func.value.id, call.func.attr) == ("online", "run")
        for step in call.args[1:]
        for inner in ast.walk(step)
    }
    made = {_text(call, 0) for call in calls if _of_op(call.func) == "create_table"}
    found = []
    good = {
        id(call.func)
        for call in calls
        if (name := _of_op(call.func)) in FREE
        or (name in NEW and not _references(call))
        or (name in ON_NEW and _text(call, 1) in made)
    }
    for node in ast.walk(tree):
        name = _of_op(node)
        if name and id(node) not in through and id(node) not in good:
            assert isinstance(node, ast.Attribute)
            found.append(f"{node.lineno}: op.{name}")
    return found


def _of_op(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr if node.value.id == "op" else None
    return None


def _text(call: ast.Call, place: int) -> object:
    argument = call.args[place] if len(call.args) > place else None
    return argument.value if isinstance(argument, ast.Constant) else argument


def _references(call: ast.Call) -> bool:
    """Whether a new table has a foreign key, which locks the other table against writers."""
    return any("ForeignKey" in ast.unparse(node) for node in call.args)


PATHS = [path for path in sorted(VERSIONS.glob("0*.py")) if path.name[:4] >= FIRST]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_migration_changes_tables_in_use_through_the_module_for_it_alone(path: Path) -> None:
    assert direct(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("op.execute('ALTER TABLE jobs ADD COLUMN x int')", ["1: op.execute"]),
        ("op.add_column('jobs', column)", ["1: op.add_column"]),
        ("op.create_index('i', 'jobs', ['x'])", ["1: op.create_index"]),
        ("op.get_bind().execute(text)", ["1: op.get_bind"]),
        ("execute = op.execute", ["1: op.execute"]),
        (
            "op.create_table('t', sa.ForeignKeyConstraint(['a'], ['jobs.id']))",
            ["1: op.create_table"],
        ),
        ("op.create_table('t', column)\nop.create_index('i', 't', ['x'])", []),
        ("online.run('jobs', lambda: op.add_column('jobs', column))", []),
        ("online.run('jobs', 'ALTER TABLE jobs ADD COLUMN x int')", []),
    ],
)
def test_the_check_finds_what_goes_past_it(source: str, found: list[str]) -> None:
    assert direct(source) == found
