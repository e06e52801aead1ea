"""Finds the API for the command line, and turns the client's errors into the product's.

The first of these that is set names the API: --home (the `tierline up` that runs there), --profile,
TIERLINE_URL with TIERLINE_API_KEY, TIERLINE_PROFILE, TIERLINE_HOME, the default profile of the
config file, the default home. `tierline_client` makes the requests.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import tierline_client as client
from tierline.base.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    LimitReached,
    NotFound,
    Problem,
    TierlineError,
    Unavailable,
    UsageError,
)
from tierline.base.json_text import JSON
from tierline.base.network.http_connection import HttpConnection, plain_connection
from tierline_client import Place, Transport
from tierline_client.transport import LOOPBACK

if TYPE_CHECKING:
    import httpx

USER_AGENT = "tierline-cli"
IDLE_S = 5.0  # how long an idle connection is kept, as httpx does


class Client(Transport):
    """One connection to the API. Methods return the JSON of the answer and raise the product's
    errors.
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place, USER_AGENT, _on_this_machine(place.url))

    def request(self, method: str, path: str, **options: Any) -> JSON:
        with product_errors():
            return super().request(method, path, **options)

    def send(self, method: str, path: str, **options: Any) -> "httpx.Response":
        with product_errors():
            return super().send(method, path, **options)


def _on_this_machine(url: str) -> HttpConnection | None:
    """The transport to an API on this machine; None: httpx's own.

    Importing the libraries behind httpx's own took two fifths of the time of a short command.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in LOOPBACK:
        return None
    return plain_connection(IDLE_S)


@contextmanager
def product_errors() -> Iterator[None]:
    """Raise the product's error for each of the client's."""
    try:
        yield
    except client.TierlineError as error:
        raise product_error(error) from None


def product_error(error: client.TierlineError) -> TierlineError:
    """The product's error for a client's error."""
    if isinstance(error, client.InvalidInput):
        problems = [Problem(one.message, one.path, one.line) for one in error.problems]
        return InvalidInput(problems, error.left_out)
    if isinstance(error, client.Unavailable):
        kind = LimitReached if isinstance(error, client.LimitReached) else Unavailable
        return kind(error.message, error.retry_after_s)
    if isinstance(error, client.NotTierline):
        return Unavailable(error.message)
    for theirs, ours in (
        (client.Misconfigured, UsageError),
        (client.Forbidden, Forbidden),
        (client.NotFound, NotFound),
        (client.Conflict, Conflict),
    ):
        if isinstance(error, theirs):
            return ours(error.message)
    return TierlineError(error.message)


def connect(home: Path | None = None) -> Client:
    """A client of the API. Raises UsageError or Unavailable if there is none."""
    return Client(find(home))


def find(home: Path | None = None) -> Place:
    """The API's address and key. Raises UsageError, and Unavailable if nothing runs."""
    with product_errors():
        place = _named() if home is None else None
        if place is not None:
            return place
        from tierline.stack.home import default_home
        from tierline.stack.running import find_running

        named = os.environ.get("TIERLINE_HOME")
        folder = home or (Path(named) if named else default_home())
        running = find_running(folder)
        if running is None:
            raise Unavailable(
                f"no 'tierline up' runs on {folder}: start it, give its --home, set TIERLINE_URL, "
                "or run 'tierline login'"
            )
        own_key = running.api_key or ""
        key = "" if home is not None else os.environ.get("TIERLINE_API_KEY", "").strip()
        return Place(running.api, key or own_key)


def _named() -> Place | None:
    """The server that an option, the environment or the config file names; None if none does."""
    from tierline.cli.shared.profiles import chosen, default_profile, profile_named

    name = chosen.get()
    place = Place.from_environment() if name is None else None
    if place is not None:
        return place
    name = name or os.environ.get("TIERLINE_PROFILE")
    if name:
        profile = profile_named(name)
    elif os.environ.get("TIERLINE_HOME"):
        return None
    else:
        default = default_profile()
        if default is None:
            return None
        profile = default
    return Place(profile.url.rstrip("/"), profile.api_key)
