"""`tierline audit` over pages that have few jobs."""

import pytest

from tests.support.fake_servers.scripted_api import scripted_api
from tierline.cli import main

DECISION = {
    **{"job_id": "01a20e54-18d6-7a38-8f75-084a3523c9e4", "at": "2026-11-24T16:12:02Z"},
    **{"feature": "echo", "choice": "slm", "policy": "plan", "reason": "it is the rare one"},
    **{"verdict": "passed", "confidence": None, "outcome": "served", "signals": None},
}


@pytest.mark.parametrize(
    ("pages", "shown"),
    [
        ([([], "older"), ([], "older still"), ([DECISION], None)], "it is the rare one"),
        ([([], "older")], "none of the newest jobs matches"),
        ([([], None)], "no decision yet"),
    ],
)
def test_it_goes_on_over_pages_without_a_match(
    pages: list[tuple[list[object], str | None]],
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with scripted_api() as api:
        api.script = [(200, {"data": data, "next_cursor": cursor}) for data, cursor in pages]
        monkeypatch.setenv("TIERLINE_URL", api.place.url)
        monkeypatch.setenv("TIERLINE_API_KEY", api.place.key)
        assert main.run(["audit", "--reason", "rare"]) == 0
    assert shown in capsys.readouterr().out
