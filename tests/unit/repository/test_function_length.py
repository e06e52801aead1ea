"""No function of a job's road is longer than a screen."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MOST_LINES = 50
SERVICES = ROOT / "src/tierline/services"
ROAD = [
    *sorted((SERVICES / "jobs").rglob("*.py")),
    *sorted((SERVICES / "calls").rglob("*.py")),
    *sorted((SERVICES / "steering").rglob("*.py")),
    *(
        ROOT / "src/tierline" / name
        for name in ("rules/jobs.py", "storage/jobs/claims.py", "storage/jobs/finishes.py")
    ),
    *sorted((ROOT / "workers").rglob("*.py")),
]


def long_functions(source: str) -> list[str]:
    return [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= MOST_LINES
    ]


@pytest.mark.parametrize("path", ROAD, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_function_of_the_road_fits_a_screen(path: Path) -> None:
    assert long_functions(path.read_text()) == []


def test_a_longer_one_is_found() -> None:
    body = "    pass\n" * MOST_LINES
    assert long_functions(f"def short():\n{body[:-9]}") == []
    assert long_functions(f"async def long():\n{body}") == ["long: 51 lines"]
