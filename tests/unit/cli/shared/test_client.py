"""The client's errors, as a command's user is told them."""

import subprocess
import sys

import pytest

import tierline_client as client
from tests.support.fake_servers.scripted_api import scripted_api
from tierline.base import errors
from tierline.cli import main
from tierline.cli.shared.client import product_error


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (client.Misconfigured("m"), errors.UsageError),
        (client.Forbidden("m"), errors.Forbidden),
        (client.NotFound("m"), errors.NotFound),
        (client.Conflict("m"), errors.Conflict),
        (client.Unavailable("m", 7.0), errors.Unavailable),
        (client.LimitReached("m", 7.0), errors.LimitReached),
        (client.NotTierline("http://x"), errors.Unavailable),
        (client.Failed("m"), errors.TierlineError),
    ],
)
def test_each_error_of_the_client_is_one_of_the_product(
    theirs: client.TierlineError, ours: type[errors.TierlineError]
) -> None:
    error = product_error(theirs)
    assert type(error) is ours
    assert error.message == theirs.message
    assert getattr(error, "retry_after_s", None) == getattr(theirs, "retry_after_s", None)


def test_the_problems_of_fields_come_over_with_their_places() -> None:
    error = product_error(client.InvalidInput([client.FieldProblem("is wrong", "/a", 3)], 4))
    assert isinstance(error, errors.InvalidInput)
    assert error.problems == (errors.Problem("is wrong", "/a", 3),)
    assert error.left_out == 4


@pytest.mark.parametrize("body", [{"object": "list", "data": [{"id": "gpt-5"}]}, b"<html></html>"])
def test_a_command_says_when_another_web_server_answers(
    body: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted_api() as server:
        server.headers = {}
        server.script = [(200, body)]
        monkeypatch.setenv("TIERLINE_URL", server.place.url)
        monkeypatch.setenv("TIERLINE_API_KEY", server.key)
        assert main.run(["models", "list"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"tierline: {server.place.url} answers, but it is not tierline: set TIERLINE_URL to its "
        "address\n"
    )


COMMAND = """
import sys
from tierline.cli import main
code = main.run(["models", "list", "--json"])
print(code, [name for name in ("httpcore", "h11", "anyio", "certifi") if name in sys.modules])
"""


def test_a_command_to_this_machine_starts_without_the_libraries_of_httpx(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with scripted_api() as server:
        server.script = [(200, {"object": "list", "data": [], "has_more": False})]
        monkeypatch.setenv("TIERLINE_URL", server.place.url)
        monkeypatch.setenv("TIERLINE_API_KEY", server.key)
        done = subprocess.run(
            [sys.executable, "-c", COMMAND], capture_output=True, text=True, check=True
        )
    assert done.stdout.splitlines()[-1] == "0 []", done
