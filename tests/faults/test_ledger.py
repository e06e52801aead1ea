"""The model server's ledger outlives it, and knows what was answered whole from what was not."""

from pathlib import Path

import httpx
import pytest

from tests.support.fake_servers.model_ledger import read_ledger
from tests.support.fake_servers.model_server import ModelServer, Reply

QUESTION = {"model": "small", "messages": [{"role": "user", "content": "Which?"}]}


def ask(server: ModelServer) -> httpx.Response:
    return httpx.post(f"{server.url}/chat/completions", json=QUESTION, trust_env=False)


def test_it_tells_an_answer_that_went_out_whole_from_one_that_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    replies = iter([Reply(note="whole"), Reply(note="cut", cut=True), Reply(status=429)])
    with ModelServer(lambda _: next(replies), ledger=path) as server:
        ask(server)
        with pytest.raises(httpx.TransportError):
            ask(server)
        ask(server)
    calls = read_ledger(path).values()
    assert [(call.note, call.status) for call in calls] == [
        ("whole", 200),
        ("cut", None),
        ("", 429),
    ]


def test_a_server_that_starts_again_goes_on_with_its_ids(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    for _ in range(2):
        with ModelServer(ledger=path) as server:
            ask(server)
    assert list(read_ledger(path)) == [1, 2]


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with ModelServer(ledger=path) as server:
        ask(server)
    path.write_text(path.read_text() + '{"id": 2, "mod')
    assert list(read_ledger(path)) == [1]
