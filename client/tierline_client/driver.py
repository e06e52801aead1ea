"""What the sync and the async driver have in common: requests of steps, and answers of requests."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from tierline_client.calls import Answer, Call, follow_job
from tierline_client.errors import Misconfigured, NotTierline, TierlineError, Unavailable
from tierline_client.settings import CONNECT_S, SILENCE_S, Settings, record
from tierline_client.sse import EventParser, ServerEvent
from tierline_client.steps import Follow, Followed
from tierline_client.waiting import ENDED

if TYPE_CHECKING:
    import httpx

log: logging.Logger = logging.getLogger("tierline_client")

STREAM_TYPE = "text/event-stream"
IDENTITY = "tierline-api"
GATEWAY = frozenset({502, 503, 504})


def request_of(call: Call[Any], settings: Settings) -> dict[str, Any]:
    """The arguments of httpx for a call."""
    return {
        "method": call.method,
        "url": settings.base_url + call.path,
        "params": call.params or None,
        "content": call.content,
        "headers": {**settings.headers, **call.headers},
    }


def stream_of(step: Follow, settings: Settings) -> dict[str, Any]:
    """The arguments of httpx for a stream."""
    request = request_of(follow_job(step.job_id), settings)
    request["headers"] |= {"Accept": STREAM_TYPE}
    if step.last_id is not None:
        request["headers"]["Last-Event-ID"] = step.last_id
    return request


def timeout_of(settings: Settings) -> httpx.Timeout:
    """The timeout of a request, in httpx's form."""
    import httpx

    return httpx.Timeout(settings.timeout_s, connect=CONNECT_S)


def stream_timeout(step: Follow) -> httpx.Timeout:
    """The timeout of a stream: of its silence, or of the caller's patience."""
    import httpx

    read_s = SILENCE_S if step.timeout_s is None else max(0.001, min(SILENCE_S, step.timeout_s))
    return httpx.Timeout(SILENCE_S, connect=CONNECT_S, read=read_s)


def answer_of(call: Call[Any], response: httpx.Response, content: bytes) -> Answer:
    """The answer in a response. Raises NotTierline if another server sent it."""
    answer = Answer(response.status_code, _lower(response.headers), content)
    log.debug(
        "%s %s: %d, %.0f ms, request id %s",
        *(call.method, call.path, answer.status),
        *(response.elapsed.total_seconds() * 1000, answer.request_id),
    )
    record(answer)
    if IDENTITY not in answer.headers and answer.status not in GATEWAY and not _is_problem(answer):
        raise NotTierline(str(response.request.url.copy_with(path="/", query=None)).rstrip("/"))
    return answer


def failure(settings: Settings, error: httpx.HTTPError | httpx.InvalidURL) -> TierlineError:
    """The error for a request without an answer. It names no content."""
    import httpx

    url = settings.base_url
    log.debug("no answer: %s", type(error).__name__)
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return Misconfigured(f"{url}: {error}")
    if isinstance(error, httpx.ConnectError):
        return Unavailable(f"nothing answers at {url}")
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return Unavailable(f"there is no connection to {url} in time")
    broken = Unavailable(
        f"{url} takes too long to answer"
        if isinstance(error, httpx.TimeoutException)
        else f"the connection to {url} failed: {type(error).__name__}"
    )
    broken.maybe_received = True
    return broken


class Reading:
    """Reads one stream, until the job has ended."""

    def __init__(self, step: Follow) -> None:
        self._parser = EventParser()
        self._last_id = step.last_id
        self._job: dict[str, Any] | None = None

    def feed(self, chunk: bytes) -> None:
        """Read what came."""
        for event in self._parser.feed(chunk):
            self._read(event)

    @property
    def followed(self) -> Followed:
        """What came of the stream. Without a job it ended too early."""
        return Followed(self._job, self._last_id)

    def _read(self, event: ServerEvent) -> None:
        try:
            data = json.loads(event.data)["data"]
            job = data.get("job")
        except (ValueError, KeyError, TypeError):
            return  # of a later API
        self._last_id = event.id
        if isinstance(job, dict):
            document = cast(dict[str, Any], job)
            if document.get("status") in ENDED:
                self._job = document


def refused(step: Follow, response: httpx.Response, content: bytes) -> Followed:
    """What came of a stream that was not answered with one."""
    return Followed(answer=answer_of(follow_job(step.job_id), response, content))


def is_stream(response: httpx.Response) -> bool:
    """Whether the answer is a stream."""
    kind: str = response.headers.get("content-type", "")
    return kind.partition(";")[0] == STREAM_TYPE


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _is_problem(answer: Answer) -> bool:
    # A proxy may remove the header that names the API.
    kind = answer.headers.get("content-type", "")
    return kind.startswith(("application/problem+json", "application/json", "application/x-ndjson"))
