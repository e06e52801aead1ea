"""The API over hours: a request is repeated until it is answered, in bounded time.

Only for requests that may be repeated: a batch is opened under an Idempotency-Key, a part is known
by its number. A restart of `tierline up` changes the port and the key: the place is looked up anew.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

from tierline.base.errors import Forbidden, LimitReached, Unavailable
from tierline.base.json_text import JSON, parse_json
from tierline.cli.shared.client import Client, Place, find

GIVE_UP_S = 900.0  # without one answer; a restart takes seconds, a machine's minutes
REFUSED_S = 30.0  # a key that worked and no longer does: while `up` stops and starts again
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
LONGEST_ASKED_S = 60.0  # how far the API's Retry-After is followed
SAY_AFTER_S = 3.0
PAGE = 500  # rows in one answer

T = TypeVar("T")


class Steady:
    """Requests that outlast a restart. Before the first answer nothing is waited for."""

    def __init__(
        self,
        home: Path | None,
        say: Callable[[str], None],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._home = home
        self._say = say
        self._pause = pause
        self._place: Place | None = None
        self._client: Client | None = None
        self._answered = False

    def __enter__(self) -> "Steady":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._client is not None:
            self._client.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> JSON:
        return self._repeat(lambda client: client.get(path, params))

    def post(self, path: str, json: JSON = None, headers: Mapping[str, str] | None = None) -> JSON:
        return self._repeat(lambda client: client.post(path, json, headers=headers))

    def put_part(self, batch_id: str, number: int, body: bytes) -> JSON:
        path = f"/v1/batches/{batch_id}/parts/{number}"
        headers = {"Content-Type": "application/x-ndjson"}
        return self._repeat(
            lambda client: client.request("PUT", path, content=body, headers=headers)
        )

    def feature(self, name: str, version: int | None = None) -> JSON:
        params = {} if version is None else {"version": version}
        return self.get(f"/v1/features/{quote(name, safe='')}", params)

    def batch_of_key(self, key: str) -> JSON:
        """The batch that an Idempotency-Key stands for, without counts; None when there is none."""
        found = self.get("/v1/batches", {"idempotency_key": key})["data"]
        return found[0] if found else None

    def batch(self, batch_id: str) -> JSON:
        return self.get(f"/v1/batches/{batch_id}")

    def parts(self, batch_id: str) -> Iterator[JSON]:
        """The parts taken in so far, by number."""
        cursor = None
        while True:
            params: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
            page = self.get(f"/v1/batches/{batch_id}/parts", params)
            yield from page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def rows(
        self, batch_id: str, what: str = "output", after: int = 0, most: int | None = None
    ) -> Iterator[JSON]:
        """The batch's rows (`output`) or those without an answer (`errors`), in order."""
        given = 0
        while most is None or given < most:
            asked = PAGE if most is None else min(PAGE, most - given)
            asks = partial(
                _lines,
                path=f"/v1/batches/{batch_id}/{what}",
                params={"after": after, "limit": asked},
            )
            # Read whole before the first row is given: a page that broke off is asked for again.
            page = self._repeat(asks)
            yield from page
            given += len(page)
            if len(page) < asked:
                return
            after = page[-1]["row"]

    def _repeat(self, ask: Callable[[Client], T]) -> T:
        silent_since: float | None = None
        waiting_since: float | None = None
        pause_s = FIRST_PAUSE_S
        told = False
        while True:
            try:
                answer = ask(self._connected())
            except (Unavailable, Forbidden) as error:
                now = time.monotonic()
                waiting_since = waiting_since or now
                if isinstance(error, LimitReached):
                    # It answers, and there will be room, however long the queue takes to make it.
                    self._answered = True
                    silent_since = now
                silent_since = silent_since or now
                waited_s = now - silent_since
                bound_s = REFUSED_S if isinstance(error, Forbidden) else GIVE_UP_S
                if not self._answered or waited_s > bound_s:
                    raise
                if isinstance(error, Forbidden) and not self._may_move:
                    raise
                if not told and now - waiting_since > SAY_AFTER_S:
                    self._say(f"waiting for the API: {error.message}")
                    told = True
                asked_s = error.retry_after_s if isinstance(error, Unavailable) else None
                self._pause(max(pause_s, min(asked_s or 0.0, LONGEST_ASKED_S)))
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                self._look_again()
                continue
            self._answered = True
            if told:
                self._say("the API answers again")
            return answer

    @property
    def _may_move(self) -> bool:
        """Whether a `tierline up` says where the API is: its next run has another key."""
        return self._home is not None or not os.environ.get("TIERLINE_URL")

    def _connected(self) -> Client:
        if self._client is None:
            self._place = find(self._home)
            self._client = Client(self._place)
        return self._client

    def _look_again(self) -> None:
        """Drop the connection when the API has moved or has another key."""
        try:
            place = find(self._home)
        except Unavailable:
            return  # nothing runs just now; the next try finds out
        if place != self._place and self._client is not None:
            self._client.close()
            self._client = None


def _lines(client: Client, path: str, params: Mapping[str, Any]) -> list[JSON]:
    text = client.send("GET", path, params=params).content.decode("utf-8")
    if text and not text.endswith("\n"):
        raise Unavailable(f"{client.url} broke off within a row")
    return [parse_json(line) for line in text.split("\n") if line]
