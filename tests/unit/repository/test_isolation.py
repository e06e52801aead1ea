"""Tests stand where their source stands, share by tests/support alone, and ask by public names.

Nobody imports a test module or another folder's conftest. A name that begins with an underscore is
used only in the file that defines it.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PRODUCT = ("src/tierline", "api", "workers")
SHARED = ("tests.support", "tests.faults")  # the second is a program of its own: `make faults`
IMPORT = re.compile(r"^ *(?:from|import) +tests\b[^\n(]*(?:\([^)]*\))?", re.MULTILINE)
PRIVATE_WORD = re.compile(r"\b_[^\W_]\w*")
VENDORS = {"_request_id"}  # documented attributes of the vendors' own clients


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def defined(tree: ast.AST) -> set[str]:
    """The private names that a file defines: functions, classes, variables, attributes of self."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            found.add(node.attr)
    return {name for name in found if is_private(name)}


def reached(tree: ast.AST, private: set[str]) -> Iterator[str]:
    """Names with an underscore that a test file takes from another file; `private` are all."""
    others = private - defined(tree) - VENDORS
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            ours = (node.module or "").split(".")[0] in ("tierline", "api", "workers", "tests")
            yield from (f"{node.lineno}: {name}" for name in names if ours and is_private(name))
        elif isinstance(node, ast.Attribute) and node.attr in others:
            yield f"{node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):  # for setattr
            *owner, name = node.value.split(".")
            if name in others and all(part.isidentifier() for part in owner):
                yield f"{node.lineno}: {node.value!r}"


def imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Modules of tests that a file in `package` imports and may not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for module in modules:
            if not module.startswith("tests."):
                continue
            last = module.rpartition(".")[2]
            own = module == package or module.startswith(f"{package}.")
            test = (last == "conftest" and not own) or last.startswith("test_")
            if test or not (own or module.startswith(SHARED)):
                yield f"{node.lineno}: {module}"


def imports_of_tests(source: str) -> ast.AST:
    """The statements of a file that import from tests, alone: a fraction of the file to parse."""
    return ast.parse("\n".join(found.strip() for found in IMPORT.findall(source)))


@pytest.fixture(scope="module")
def sources() -> dict[Path, str]:
    """Every file of tests."""
    files = sorted((ROOT / "tests").rglob("*.py"))
    return {path.relative_to(ROOT): path.read_text() for path in files}


@pytest.fixture(scope="module")
def private() -> set[str]:
    """Every private name of the product and of what tests share."""
    folders = (*PRODUCT, "tests/support")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return set().union(*(defined(ast.parse(path.read_text())) for path in files))


def test_no_test_imports_a_test_or_another_folders_conftest(sources: dict[Path, str]) -> None:
    found = [
        f"{path}:{name}"
        for path, source in sources.items()
        for name in imported(imports_of_tests(source), ".".join(path.parent.parts))
    ]
    assert not found


def test_no_test_reaches_into_a_private_name(private: set[str], sources: dict[Path, str]) -> None:
    assert len(private) > 500
    found = [
        f"{path}:{name}"
        for path, source in sources.items()
        if PRIVATE_WORD.search(source)
        for name in reached(ast.parse(source), private)
    ]
    assert not found


def test_each_folder_of_tests_has_the_path_of_its_source() -> None:
    """Those of the repository itself, its examples and its client have no folder in the product."""
    found = {
        path.parent.relative_to(ROOT / "tests" / kind)
        for kind in ("unit", "integration")
        for path in (ROOT / "tests" / kind).rglob("test_*.py")
    }
    elsewhere = {Path(name) for name in ("repository", "examples", "client")}
    sources = [ROOT / "src/tierline", ROOT]
    lost = [
        str(folder)
        for folder in found - elsewhere
        if not any((source / folder / "__init__.py").is_file() for source in sources)
    ]
    assert not lost


@pytest.mark.parametrize(
    "text",
    [
        "from tests.integration.api.conftest import Api",
        "from tests.integration.api import conftest",
        "from tests.unit.rules.test_jobs import job",
        "from tests.unit.rules.test_jobs import (\n    job,\n)",
        "from tests.unit.checks.test_rules import rule",
        "import tests.unit.checks.samples",
    ],
)
@pytest.mark.parametrize("around", ["{}", "def later():\n    {}\n    return 1"])
def test_an_import_from_another_test_is_found(text: str, around: str) -> None:
    tree = imports_of_tests(around.format(text))
    assert len(list(imported(tree, "tests.unit.rules"))) >= 1


@pytest.mark.parametrize(
    "text", ["from tests.support import rows", "from tests.unit.rules import x"]
)
def test_an_import_of_what_is_shared_is_none_of_these(text: str) -> None:
    assert list(imported(imports_of_tests(text), "tests.unit.rules")) == []


@pytest.mark.parametrize(
    "text",
    [
        "from tierline.providers.anthropic import _error",
        "executor._of_elsewhere = {}",
        "assert executor._of_elsewhere",
        "monkeypatch.setattr(module, '_of_elsewhere', None)",
        "monkeypatch.setattr('tierline.services.x._of_elsewhere', None)",
    ],
)
def test_a_private_name_of_another_file_is_found(text: str) -> None:
    assert len(list(reached(ast.parse(text), {"_of_elsewhere"}))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "def keep(self):\n    self._of_elsewhere = 1\n    return self._of_elsewhere",
        "def _of_elsewhere(): pass\n_of_elsewhere()",
        "import vendor\nassert vendor.client._request_id",
        "assert 'the word _of_elsewhere in a sentence'",
    ],
)
def test_a_name_of_the_file_itself_or_of_a_library_is_not(text: str) -> None:
    assert list(reached(ast.parse(text), {"_of_elsewhere"})) == []
