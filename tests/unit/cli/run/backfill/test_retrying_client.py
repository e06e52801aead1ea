"""What a backfill asks over hours, on a server that answers as it is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fake_servers.scripted_api import ScriptedApi, scripted_api
from tierline.base.errors import Forbidden, InvalidInput
from tierline.cli.run.backfill import retrying_client
from tierline.cli.run.backfill.retrying_client import RetryingClient


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedApi]:
    monkeypatch.delenv("TIERLINE_URL", raising=False)
    with scripted_api() as made:
        monkeypatch.setattr(retrying_client, "find", lambda home: made.place)
        yield made


def opened() -> RetryingClient:
    api = RetryingClient(Path("/home"), lambda text: None, lambda pause_s: None)
    assert api.get("/first") == {"ok": True}
    return api


def test_the_key_of_the_next_up_is_looked_up(server: ScriptedApi) -> None:
    with opened() as api:
        server.key = "another"
        assert api.get("/x") == {"ok": True}


def test_a_key_from_the_environment_is_not_waited_for(
    server: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERLINE_URL", server.place.url)
    with RetryingClient(None, lambda text: None, pytest.fail) as api:
        api.get("/first")
        server.script = [(403, {"detail": "this key may only read"})]
        with pytest.raises(Forbidden, match="only read"):
            api.get("/x")


def test_what_the_api_refuses_is_the_products_error_and_not_repeated(server: ScriptedApi) -> None:
    with opened() as api:
        server.script = [(422, {"detail": "no"})]
        with pytest.raises(InvalidInput):
            api.get("/x")
    assert server.paths.count("/x") == 1


def test_rows_are_read_page_by_page_after_the_last_one(
    server: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying_client, "PAGE", 2)
    with opened() as api:
        server.script = [
            (200, b'{"row": 1}\n{"row": 2}\n'),
            (503, {"detail": "busy"}),
            (200, b'{"row": 7}\n'),
        ]
        assert [row["row"] for row in api.rows("b")] == [1, 2, 7]
    assert server.paths[-1] == "/v1/batches/b/output?after=2&limit=2"


def test_a_page_that_broke_off_within_a_row_is_asked_for_again(server: ScriptedApi) -> None:
    with opened() as api:
        server.script = [(200, b'{"row": 1}\n{"ro'), (200, b'{"row": 1}\n')]
        assert [row["row"] for row in api.rows("b")] == [1]
