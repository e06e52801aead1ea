"""The API for long runs: each request is repeated until it is answered.

A batch is opened under an Idempotency-Key and a part is identified by its number, so all requests
are safe to repeat. A restart of `tierline up` changes the port and the key, so these are looked up
again.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

from tierline.base.errors import Unavailable
from tierline.base.json_text import JSON, parse_json
from tierline.cli.shared.client import USER_AGENT, find, product_errors
from tierline_client import Place, Retrying, Transport
from tierline_client import Unavailable as Silent

PAGE = 500  # rows per page

T = TypeVar("T")


class RetryingClient:
    """Requests that survive a restart of the API.

    Before the first answer, errors are not retried.
    """

    def __init__(
        self,
        home: Path | None,
        say: Callable[[str], None],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._home = home
        self._say = say
        self._pause = pause
        self._retrying: Retrying | None = None

    def __enter__(self) -> "RetryingClient":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._retrying is not None:
            self._retrying.close()

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
        """The batch of an Idempotency-Key, without counts; None if there is none."""
        batches = self.get("/v1/batches", {"idempotency_key": key})["data"]
        return batches[0] if batches else None

    def batch(self, batch_id: str) -> JSON:
        return self.get(f"/v1/batches/{batch_id}")

    def parts(self, batch_id: str) -> Iterator[JSON]:
        """The accepted parts, by number."""
        cursor = None
        while True:
            params: dict[str, Any] = {} if cursor is None else {"cursor": cursor}
            page = self.get(f"/v1/batches/{batch_id}/parts", params)
            yield from page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def rows(
        self, batch_id: str, kind: str = "output", after: int = 0, most: int | None = None
    ) -> Iterator[JSON]:
        """The batch's rows (`output`) or those without an answer (`errors`), in order."""
        count = 0
        while most is None or count < most:
            size = PAGE if most is None else min(PAGE, most - count)
            read_page = partial(
                _lines,
                path=f"/v1/batches/{batch_id}/{kind}",
                params={"after": after, "limit": size},
            )
            # Read the whole page before the first row is returned: an interrupted page is requested
            # again.
            page = self._repeat(read_page)
            yield from page
            count += len(page)
            if len(page) < size:
                return
            after = page[-1]["row"]

    def _repeat(self, request: Callable[[Transport], T]) -> T:
        if self._retrying is None:
            # After a restart, `tierline up` may have another address and key.
            moves = self._home is not None or not os.environ.get("TIERLINE_URL")
            self._retrying = Retrying(
                find(self._home),
                self._say,
                find_again=self._find_again if moves else None,
                pause=self._pause,
                user_agent=USER_AGENT,
            )
        with product_errors():
            return self._retrying.call(request)

    def _find_again(self) -> Place | None:
        try:
            return find(self._home)
        except Unavailable:
            return None  # nothing runs now


def _lines(client: Transport, path: str, params: Mapping[str, Any]) -> list[JSON]:
    text = client.send("GET", path, params=params).content.decode("utf-8")
    if text and not text.endswith("\n"):
        raise Silent(f"{client.url} closed the connection within a row")
    return [parse_json(line) for line in text.split("\n") if line]
