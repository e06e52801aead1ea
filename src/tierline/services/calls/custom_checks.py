"""Makes the operator's own checks in a worker: a Python function in a process of its own, or a
request to a server of theirs.

Each has a time limit, after which the process is killed or the request given up. The worker's
heartbeat goes on meanwhile, and the limits count in `longest_attempt_s`. A check that gives no
result says nothing of the answer: NotChecked.
"""

import json
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from uuid import uuid4

import httpx
import structlog

from tierline.base.custom_checks import CustomCheck
from tierline.base.json_text import JSON, storable
from tierline.base.network.deadline_http import DeadlineTransport, tls_context, within
from tierline.base.settings import settings
from tierline.checks import NotChecked, RuleBroken
from tierline.features.task import Check
from tierline.services.calls.check_process import START_S, CheckProcess
from tierline.webhooks.sign import signed_headers

log = structlog.get_logger(__name__)

MAX_REASON = 500  # characters of a check's own words
MAX_REPLY_BYTES = 64 * 1024
MOST_IDLE = 4  # processes of one check that wait for the next answer


def custom_check(name: str, input: JSON, output: JSON) -> str | None:
    """What the check says is wrong; None if the answer passed. See `checks.CustomCheck`."""
    check = settings().checks.get(name)
    if check is None:
        raise RuleBroken(
            f"the check {name} is not in TIERLINE_CHECKS of this worker: set it for every worker"
        )
    reply = (
        _ask_process(check, input, output) if check.python else _ask_server(check, input, output)
    )
    if not isinstance(reply, Mapping) or not isinstance(reply.get("passed"), bool):
        raise _failed(check, 'did not answer with {"passed": true} or {"passed": false}')
    return None if reply["passed"] else _reason(reply.get("reason"))


def longest_s(checks: Iterable[Check]) -> float:
    """How long the custom ones of these checks may take for one answer, in seconds."""
    by_name = settings().checks
    limits_s = 0.0
    for check in checks:
        configured = by_name.get(check.custom)
        if configured is not None:
            limits_s += configured.timeout_s + (START_S if configured.python else 0.0)
    return limits_s


def _reason(given: JSON) -> str:
    text = storable(given).strip() if isinstance(given, str) else ""
    return text[:MAX_REASON] or "the answer did not pass"


def _failed(check: CustomCheck, why: str) -> NotChecked:
    log.warning("custom_check_failed", check=check.name, reason=why)
    return NotChecked(f"the check {check.name} {why}")


class IdleProcesses:
    """Processes that wait for the next answer, by check."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: dict[CustomCheck, list[CheckProcess]] = {}

    def take(self, check: CustomCheck) -> CheckProcess:
        assert check.python is not None
        with self._lock:
            waiting = self._processes.get(check)
            process = waiting.pop() if waiting else None
        if process is not None and process.alive:
            return process
        return CheckProcess(check.python)

    def put(self, check: CustomCheck, process: CheckProcess) -> None:
        with self._lock:
            waiting = self._processes.setdefault(check, [])
            if len(waiting) < MOST_IDLE:
                waiting.append(process)
                return
        process.kill()

    def end(self) -> None:
        """End the processes that wait."""
        with self._lock:
            for waiting in self._processes.values():
                while waiting:
                    waiting.pop().kill()


idle = IdleProcesses()


def _ask_process(check: CustomCheck, input: JSON, output: JSON) -> JSON:
    try:
        process = idle.take(check)
    except (OSError, TimeoutError):
        raise _failed(check, f"could not be started within {START_S:g} s") from None
    kept = False
    try:
        reply = process.ask({"input": input, "output": output}, check.timeout_s)
        kept = True
    except TimeoutError:
        raise _failed(check, f"gave no result within {check.timeout_s:g} s") from None
    except (OSError, ValueError):
        raise _failed(check, "ended without a result") from None
    finally:
        if kept:
            idle.put(check, process)
        else:
            process.kill()
    if isinstance(reply, Mapping) and "error" in reply:
        raise _failed(check, f"failed: {storable(str(reply['error']))[:MAX_REASON]}")
    return reply


@cache
def _client() -> httpx.Client:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.Client(
        transport=DeadlineTransport(limits, tls_context()), follow_redirects=False, trust_env=False
    )


def _ask_server(check: CustomCheck, input: JSON, output: JSON) -> JSON:
    assert check.url is not None
    assert check.secret is not None
    request = {"check": check.name, "input": input, "output": output}
    body = json.dumps(request, ensure_ascii=False, allow_nan=False).encode()
    headers = signed_headers(f"check_{uuid4().hex}", body, datetime.now(UTC), check.secret)
    try:
        with (
            within(check.timeout_s),
            _client().stream(
                "POST",
                check.url,
                content=body,
                headers={"content-type": "application/json", **headers},
                timeout=check.timeout_s,
            ) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise _failed(check, f"answered with the status {response.status_code}")
            body_read = b""
            for part in response.iter_bytes():
                body_read += part
                if len(body_read) > MAX_REPLY_BYTES:
                    raise _failed(check, f"answered with more than {MAX_REPLY_BYTES:,} bytes")
    except httpx.TimeoutException:
        raise _failed(check, f"gave no result within {check.timeout_s:g} s") from None
    except httpx.HTTPError:
        raise _failed(check, "could not be reached, or the connection broke") from None
    try:
        return json.loads(body_read)
    except ValueError:
        return None
