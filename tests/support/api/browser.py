"""A browser at the console: it keeps cookies, sends `Origin`, and reads forms from pages."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import httpx

from tests.support.waiting import DEADLINE_S

_TOKEN = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


class Browser:
    """One person's browser."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(
            base_url=url, timeout=DEADLINE_S, trust_env=False, verify=False, follow_redirects=False
        )

    def close(self) -> None:
        self.http.close()

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.http.get(path, **more)

    def token(self, path: str = "/console") -> str:
        """The form token of a page."""
        match = _TOKEN.search(self.get(path).text)
        assert match is not None, path
        return match[1]

    def post(
        self,
        path: str,
        fields: dict[str, str] | None = None,
        *,
        token: str | None = None,
        origin: str | None = "same",
        **more: Any,
    ) -> httpx.Response:
        """Send a form. `token` None: as a page of the session has it; `origin` None: no header."""
        headers = dict(more.pop("headers", {}))
        if origin is not None:
            headers["Origin"] = self.url if origin == "same" else origin
        sent = self.token() if token is None else token
        return self.http.post(path, data={"csrf": sent, **(fields or {})}, headers=headers, **more)

    def sign_in(self, key: str, then: str = "/console") -> httpx.Response:
        token = self.token(f"/console/sign-in?next={then}")
        return self.post("/console/sign-in", {"key": key, "next": then}, token=token)


def text_of(page: httpx.Response) -> str:
    """A page's text without its marks, its white space joined."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


SignIn = Callable[..., Browser]
"""Makes browsers with a session of a new key that has the given scopes."""
