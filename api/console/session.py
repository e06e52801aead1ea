"""Who is signed in to the console, and whether a form was sent by a page of the console.

The cookie holds a random token, never the API key. A form is accepted only with the token of its
session, from a page of the same host.
"""

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request, Response

from api.access.auth import needs
from api.access.keys import Caller
from api.http.cold import CALLER
from api.http.problems import Refused
from api.state import state_of
from tierline.openid.attempt import tag_of
from tierline.rules.roles import Scope
from tierline.services.accounts.sessions import SESSION_S

CONSOLE = "/console"
FORM_FIELD = "csrf"
MOST_FIELDS = 200
_FORM = "application/x-www-form-urlencoded"
_FROM_ELSEWHERE = (
    "this form was not sent by a page of the console: open the page again and repeat it. Behind a"
    " proxy, the proxy must pass the Host header on"
)
_STALE = "this form belongs to another session: open the page again and repeat it"


class SignedOut(Exception):
    """Nobody is signed in, or the session or its key has ended."""


@dataclass(frozen=True)
class Cookie:
    """The session's cookie for the host that the browser uses.

    It is `Secure`, except on loopback, where there is no TLS. Cookies of a host are shared by its
    ports, so the name has the port there: two installations on one machine do not sign each other
    out.
    """

    name: str
    secure: bool

    @property
    def path(self) -> str:
        return "/" if self.secure else CONSOLE  # __Host- asks for the path /

    def read(self, request: Request) -> str:
        return request.cookies.get(self.name, "")

    def write(self, response: Response, token: str, lifetime_s: float = SESSION_S) -> None:
        response.set_cookie(
            self.name,
            token,
            max_age=int(lifetime_s),
            path=self.path,
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )

    def remove(self, response: Response) -> None:
        self.write(response, "", 0)


def session_cookie(request: Request) -> Cookie:
    """The cookie that holds the session's token."""
    return _cookie(request, "tierline")


def sign_in_cookie(request: Request) -> Cookie:
    """The cookie that ties the sign-in form to the browser that asked for it."""
    return _cookie(request, "tierline_sign_in")


def openid_cookie(request: Request, state: str) -> Cookie:
    """The cookie that holds a sign-in by OpenID Connect on its way, one for each tab."""
    return _cookie(request, f"tierline_openid_{tag_of(state)}")


def _cookie(request: Request, name: str) -> Cookie:
    host = urlsplit(f"//{request.headers.get('host', '')}")
    try:
        port = host.port or 80
    except ValueError:
        port = 80
    if is_loopback(host.hostname or ""):
        return Cookie(f"{name}_{port}", secure=False)
    return Cookie(f"__Host-{name}", secure=True)


def is_loopback(hostname: str) -> bool:
    """Whether a Host header's name is this machine."""
    if hostname == "localhost" or hostname.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False


def form_token(token: str) -> str:
    """What a session's forms carry. It tells nothing about the session's token."""
    return hashlib.sha256(b"form:" + token.encode()).hexdigest()


def new_sign_in_token() -> str:
    """A token for `sign_in_cookie`."""
    return secrets.token_urlsafe(32)


async def find_caller(request: Request) -> Caller | None:
    """Whose session it is, or None."""
    state = state_of(request)
    state.health.refuse_unmigrated()
    return await state.keys.of_session(session_cookie(request).read(request))


@dataclass(frozen=True)
class SignedIn:
    """A dependency that admits sessions whose key has the scope `needs`, and returns its Caller.

    Raises SignedOut, and Refused as for a request with the key itself (403, 429).
    """

    needs: Scope

    async def __call__(self, request: Request) -> Caller:
        caller = await find_caller(request)
        if caller is None:
            raise SignedOut
        state_of(request).rates.admit(caller.account_id, caller.limits, request.scope)
        if not caller.may(self.needs):
            raise needs(caller, self.needs)
        request.scope[CALLER] = caller
        return caller


Reader = Annotated[Caller, Depends(SignedIn("read"))]
Submitter = Annotated[Caller, Depends(SignedIn("submit"))]
Administrator = Annotated[Caller, Depends(SignedIn("admin"))]
OperatorHere = Annotated[Caller, Depends(SignedIn("operator"))]


async def read_form(request: Request, token: str) -> Mapping[str, str]:
    """The fields of a form that a page of this session sent. Raises Refused (400, 403, 415)."""
    refuse_other_sites(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise Refused("unsupported-media-type", f"send Content-Type: {_FORM}")
    try:
        body = (await request.body()).decode("utf-8")
        fields = dict(
            parse_qsl(body, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
        )
    except ValueError:
        raise Refused("bad-request", "the form cannot be read") from None
    sent = fields.pop(FORM_FIELD, "")
    if not token or not hmac.compare_digest(sent.encode(), form_token(token).encode()):
        raise stale_form()
    return fields


def stale_form() -> Refused:
    """The refusal (403) of a form that another session's page sent."""
    return Refused("forbidden", _STALE)


def refuse_other_sites(request: Request) -> None:
    """Raises Refused (403) unless a page of this host sent the request. Browsers send `Origin` with
    every form; a request without one was not sent by a browser's form."""
    origin = urlsplit(request.headers.get("origin", ""))
    own = request.headers.get("host", "").lower()
    site = request.headers.get("sec-fetch-site", "same-origin")
    same = origin.scheme in ("http", "https") and origin.netloc.lower() == own
    if not own or not same or site not in ("same-origin", "none"):
        raise Refused("forbidden", _FROM_ELSEWHERE)


async def _posted(request: Request) -> Mapping[str, str]:
    return await read_form(request, session_cookie(request).read(request))


Posted = Annotated[Mapping[str, str], Depends(_posted)]
"""The fields of a form. Name it behind the caller, so that a stranger's body is not read."""
