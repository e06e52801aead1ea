"""Both clients have one surface, and importing them is quick."""

import inspect
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import tierline_client
from tierline_client import AsyncTierline, Tierline, async_client, client

ROOT = Path(__file__).parents[3]
PAIRS = [
    (Tierline, AsyncTierline),
    (client.Jobs, async_client.AsyncJobs),
    (client.Batches, async_client.AsyncBatches),
    (client.Features, async_client.AsyncFeatures),
]


def test_the_async_client_is_what_the_sync_one_makes() -> None:
    make = runpy.run_path(str(ROOT / "client" / "make_async.py"))["made"]
    made = make((ROOT / "client" / "tierline_client" / "client.py").read_text())
    target = ROOT / "client" / "tierline_client" / "async_client.py"
    formatted = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(target), "-"],
        input=made,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    sorted_imports = subprocess.run(
        [
            *(sys.executable, "-m", "ruff", "check", "--fix", "--quiet", "--select", "I"),
            *("--stdin-filename", str(target), "-"),
        ],
        input=formatted,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert target.read_text() == sorted_imports, "run python client/make_async.py, and ruff format"


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].__name__)
def test_both_clients_have_the_same_methods(pair: tuple[type, type]) -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(attribute).parameters)
            for name, attribute in vars(kind).items()
            if inspect.isfunction(attribute) and not name.startswith("_")
        }

    assert methods(pair[0]) == methods(pair[1])


def test_every_public_method_says_what_it_is_for() -> None:
    for pair in PAIRS:
        for kind in pair:
            for name, attribute in vars(kind).items():
                if inspect.isfunction(attribute) and not name.startswith("_"):
                    assert attribute.__doc__, f"{kind.__name__}.{name}"


def test_every_name_that_is_exported_is_there() -> None:
    for name in tierline_client.__all__:
        assert getattr(tierline_client, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = tierline_client.Nothing


def test_importing_the_client_imports_neither_httpx_nor_pydantic() -> None:
    program = (
        "import sys; from tierline_client import AsyncTierline, Tierline, TierlineError;"
        "print([name for name in ('httpx', 'pydantic', 'standardwebhooks') if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
