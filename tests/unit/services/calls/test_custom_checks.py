"""The operator's own checks, in real processes and on a real server on loopback."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from tests.support.waiting import DEADLINE_S
from tierline.base.settings import settings
from tierline.checks import NotChecked, RuleBroken
from tierline.features.task import Check
from tierline.services.calls import custom_checks
from tierline.services.calls.custom_checks import IdleProcesses, custom_check, longest_s

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MODULE = """
import os, time
def vat(input, output):
    print("a print does not disturb the answer")
    same = output["vat"].startswith(input["country"])
    return None if same else "the VAT number is another country's"
def yes(input, output): return output["ok"]
def pid(input, output): return str(os.getpid())
def environment(input, output): return " ".join(name for name in input if name in os.environ)
def hang(input, output):
    open(input["file"], "w").write(str(os.getpid()))
    while True: time.sleep(0.05)
def crash(input, output): os._exit(7)
def broken(input, output): raise ValueError("hunter2")
def number(input, output): return 7
"""
NAMES = ("vat", "yes", "pid", "environment", "hang", "crash", "broken", "number")


@pytest.fixture(autouse=True)
def operators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """An installed package with checks, and the setting that names them."""
    (tmp_path / "operators_checks.py").write_text(MODULE)
    info = tmp_path / "operators_checks-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: operators-checks\nVersion: 1.0\n")
    points = "\n".join(f"{name} = operators_checks:{name}" for name in NAMES)
    gone = "gone = no_such_module:f"
    (info / "entry_points.txt").write_text(f"[tierline.checks]\n{points}\n{gone}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def set_checks(**more: Any) -> None:
        checks = {name: {"python": name, "timeout_s": 10} for name in (*NAMES, "gone", "missing")}
        monkeypatch.setenv("TIERLINE_CHECKS", json.dumps(checks | more))
        settings.cache_clear()

    idle = IdleProcesses()
    monkeypatch.setattr(custom_checks, "idle", idle)
    set_checks()
    yield set_checks
    settings.cache_clear()
    idle.end()


def test_a_function_passes_an_answer_or_says_what_is_wrong() -> None:
    assert custom_check("vat", {"country": "SE"}, {"vat": "SE123"}) is None
    reason = custom_check("vat", {"country": "SE"}, {"vat": "DE123"})
    assert reason == "the VAT number is another country's"


@pytest.mark.parametrize(
    ("returned", "said"), [(True, None), (None, None), (False, "the answer did not pass")]
)
def test_a_function_may_return_true_none_or_false(returned: Any, said: str | None) -> None:
    assert custom_check("yes", {}, {"ok": returned}) == said


def test_a_process_is_used_again() -> None:
    assert custom_check("pid", {}, {}) == custom_check("pid", {}, {})


def test_a_large_input_reaches_the_function() -> None:
    assert custom_check("vat", {"country": "SE", "text": "a" * 1_000_000}, {"vat": "SE1"}) is None


def test_a_function_sees_no_setting_of_tierline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    monkeypatch.setenv("DATABASE_URL", "x")
    names = dict.fromkeys(["PYTHONPATH", "OPENAI_API_KEY", "DATABASE_URL", "TIERLINE_CHECKS"])
    assert custom_check("environment", names, {}) == "PYTHONPATH"


def test_a_function_that_hangs_is_killed_at_its_limit_while_others_go_on(
    operators: Callable[..., None], tmp_path: Path
) -> None:
    operators(hang={"python": "hang", "timeout_s": 0.5})
    ticks: list[float] = []
    ended = threading.Event()

    def tick() -> None:  # as the heartbeat of a worker
        while not ended.is_set():
            ticks.append(time.monotonic())
            ended.wait(0.01)

    beside = threading.Thread(target=tick)
    beside.start()
    file = tmp_path / "pid"
    with pytest.raises(NotChecked, match=r"hang gave no result within 0\.5 s"):
        custom_check("hang", {"file": str(file)}, {})
    ended.set()
    beside.join()
    assert max(b - a for a, b in pairwise(ticks)) < 0.4
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("crash", "ended without a result"),
        ("broken", "failed: ValueError at operators_checks.py:"),
        ("number", "it returned int"),
        ("missing", "no installed package has the entry point missing"),
        ("gone", "cannot be imported (ModuleNotFoundError"),
    ],
)
def test_a_check_that_gives_no_result_says_nothing_of_the_answer(name: str, said: str) -> None:
    with pytest.raises(NotChecked) as caught:
        custom_check(name, {}, {})
    assert said in caught.value.message
    assert "hunter2" not in caught.value.message


def test_a_name_that_is_not_set_is_no_verdict_on_the_answer() -> None:
    with pytest.raises(RuleBroken, match="nobody is not in TIERLINE_CHECKS"):
        custom_check("nobody", {}, {})


def test_the_limits_count_in_the_longest_attempt() -> None:
    checks = [
        Check("custom", custom="vat"),
        Check("rule", rule="output.a"),
        Check("custom", custom="yes"),
    ]
    assert longest_s(checks) == 2 * (10 + custom_checks.START_S)


class Server(BaseHTTPRequestHandler):
    """A server of the operator's: what it was asked, and what it answers."""

    asked: list[tuple[dict[str, str], bytes]]
    status = 200
    reply: bytes = b'{"passed": true}'
    waits = threading.Event()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.asked.append((dict(self.headers.items()), body))
        if self.path == "/slow":
            self.waits.wait(DEADLINE_S)
        self.send_response(self.status)
        self.send_header("location", "/elsewhere")
        self.end_headers()
        self.wfile.write(self.reply)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(operators: Callable[..., None]) -> Iterator[type[Server]]:
    answering = type("Answering", (Server,), {"asked": [], "waits": threading.Event()})
    serving = ThreadingHTTPServer(("127.0.0.1", 0), answering)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{serving.server_port}"
    operators(
        stock={"url": f"{url}/check", "secret": SECRET},
        slow={"url": f"{url}/slow", "secret": SECRET, "timeout_s": 0.3},
    )
    yield answering
    answering.waits.set()
    serving.shutdown()
    thread.join()
    serving.server_close()


def test_a_server_is_asked_with_a_signature_that_it_can_verify(server: type[Server]) -> None:
    assert custom_check("stock", {"text": "é"}, {"sku": "A"}) is None
    ((headers, body),) = server.asked
    payload = Webhook(SECRET).verify(body, {name.lower(): value for name, value in headers.items()})
    assert payload == {"check": "stock", "input": {"text": "é"}, "output": {"sku": "A"}}
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60


def test_a_server_says_what_is_wrong(server: type[Server]) -> None:
    server.reply = b'{"passed": false, "reason": "no such article"}'
    assert custom_check("stock", {}, {}) == "no such article"


@pytest.mark.parametrize(
    ("status", "reply", "said"),
    [
        (500, b"", "the status 500"),
        (307, b"", "the status 307"),
        (200, b"<html>", "did not answer with"),
        (200, b'{"passed": "yes"}', "did not answer with"),
        (200, b"a" * 100_000, "more than 65,536 bytes"),
    ],
)
def test_a_server_that_fails_says_nothing_of_the_answer(
    server: type[Server], status: int, reply: bytes, said: str
) -> None:
    server.status, server.reply = status, reply
    with pytest.raises(NotChecked, match=said):
        custom_check("stock", {}, {})
    assert len(server.asked) == 1


def test_a_server_that_is_late_is_given_up(server: type[Server]) -> None:
    started = time.monotonic()
    with pytest.raises(NotChecked, match=r"slow gave no result within 0\.3 s"):
        custom_check("slow", {}, {})
    assert time.monotonic() - started < 10
