"""What `make layers` cannot say: no module imports itself through others, not for types either."""

from collections.abc import Mapping

import grimp
import pytest


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Each module with those that it imports, inside functions and for types alone too."""
    graph = grimp.build_graph(
        *("tierline", "tierline_client", "api", "workers", "migrations"),
        exclude_type_checking_imports=False,
        cache_dir=None,
    )
    assert len(graph.modules) > 400
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def cycles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """The sets of modules that import one another, by Tarjan's algorithm (1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for imported in sorted(imports[module]):
            if imported not in index:
                visit(imported)
                low[module] = min(low[module], low[imported])
            elif imported in stack:
                low[module] = min(low[module], index[imported])
        if low[module] == index[module]:
            together = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(together) > 1 or module in imports[module]:
                found.append(sorted(together))

    for module in sorted(imports):
        if module not in index:
            visit(module)
    return found


def test_no_modules_import_one_another(imports: dict[str, set[str]]) -> None:
    assert cycles(imports) == []


def test_a_cycle_put_back_is_found(imports: dict[str, set[str]]) -> None:
    state = imports["api.state"]
    back = imports | {"api.health.metrics": imports["api.health.metrics"] | {"api.state"}}
    assert "api.health.metrics" in state
    assert cycles(back) == [["api.health.metrics", "api.state"]]
