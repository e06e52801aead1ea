"""One request: which answers are tierline's, which errors they stand for, where the API is."""

from collections.abc import Iterator

import httpx
import pytest

from api.http.problems import of_error
from tests.support.fake_servers.scripted_api import ScriptedApi, scripted_api
from tierline.base.errors import InvalidInput as Refusal
from tierline.base.errors import Problem
from tierline_client import (
    InvalidInput,
    Misconfigured,
    NotFound,
    NotTierline,
    Place,
    Transport,
    Unavailable,
)
from tierline_client.errors import error_of


@pytest.fixture
def server() -> Iterator[ScriptedApi]:
    with scripted_api() as made:
        yield made


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"object": "list", "data": [{"id": "gpt-5"}]}),
        (200, b"<html>hello</html>"),
        (200, b""),
        (404, b"<html>404</html>"),
        (401, {"error": "who are you?"}),
        (200, [1, 2]),
    ],
)
def test_another_web_server_is_told_apart(server: ScriptedApi, answer: tuple[int, object]) -> None:
    server.headers = {}
    server.script = [answer]
    with Transport(server.place) as api, pytest.raises(NotTierline) as refused:
        api.get("/v1/models")
    assert str(refused.value).startswith(f"{server.place.url} answers, but it is not tierline")


def test_a_release_without_the_header_is_known_by_its_description_once(server: ScriptedApi) -> None:
    server.headers = {}
    server.script = [
        (404, {"detail": "no job"}),
        (200, {"info": {"title": "tierline"}}),
        (200, {"id": "1"}),
    ]
    with Transport(server.place) as api:
        with pytest.raises(NotFound, match="no job"):
            api.get("/v1/jobs/1")
        assert api.get("/v1/jobs/2") == {"id": "1"}
    assert server.paths == ["/v1/jobs/1", "/openapi.json", "/v1/jobs/2"]


def test_a_proxy_that_stands_in_for_a_stopped_server_is_no_other_web_server(
    server: ScriptedApi,
) -> None:
    server.headers = {}
    server.script = [(502, b"<html>bad gateway</html>")]
    with Transport(server.place) as api, pytest.raises(Unavailable, match="HTTP 502"):
        api.get("/v1/jobs/1")
    assert server.paths == ["/v1/jobs/1"]


def test_how_many_more_problems_there_are_comes_over_from_the_api() -> None:
    sent = of_error(Refusal(Problem("is wrong", f"/{place}") for place in range(5_000)))
    got = error_of(sent.status_code, httpx.Headers(), bytes(sent.body))
    assert isinstance(got, InvalidInput)
    assert len(got.problems) == 20
    assert got.left_out == 4_980
    assert got.message.endswith("and 4,980 more")


def test_nothing_that_listens_is_said_with_what_to_do() -> None:
    with (
        Transport(Place("http://127.0.0.1:9", "key")) as api,
        pytest.raises(Unavailable, match=r"nothing answers at http://127\.0\.0\.1:9: start it"),
    ):
        api.get("/v1/jobs/1")


def test_the_environment_says_where_the_api_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERLINE_URL", "http://127.0.0.1:1/")
    monkeypatch.setenv("TIERLINE_API_KEY", " tl_key ")
    assert Place.from_environment() == Place("http://127.0.0.1:1", "tl_key")
    with Transport() as api:
        assert api.url == "http://127.0.0.1:1"
    monkeypatch.delenv("TIERLINE_API_KEY")
    with pytest.raises(Misconfigured, match="TIERLINE_API_KEY is not"):
        Transport()
    monkeypatch.delenv("TIERLINE_URL")
    with pytest.raises(Misconfigured, match="TIERLINE_URL is not set"):
        Transport()


def test_a_key_that_no_header_carries_is_refused_and_not_shown() -> None:
    for key in ("tl_\N{SNOWMAN}", "two words", "new\nline"):
        with pytest.raises(Misconfigured) as refused:
            Place("http://127.0.0.1:1", key)
        assert key not in str(refused.value)
    assert "tl_key" not in repr(Place("http://127.0.0.1:1", "tl_key"))
