"""One try to call a receiver: resolve its name once, check every address, call a checked address.

The host is never resolved a second time: the connection goes to the checked address, while TLS and
the Host header use the name. Redirects are not followed, proxies of the environment are not used,
nothing is kept between tries, and one deadline covers the whole try.
"""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from ipaddress import ip_address

import httpx

from tierline.base.network.deadline_http import DeadlineTransport, tls_context, within
from tierline.webhooks.addresses import (
    Address,
    AddressRefused,
    Reach,
    Target,
    check_address,
    check_port,
    read_url,
)
from tierline.webhooks.schedule import Met
from tierline_client.retry_after import retry_after_s

MAX_ANSWER_BYTES = 64 * 1024  # of a response body, which is ignored; the rest is cut off
MOST_ADDRESSES = 4  # of one name that are tried in turn

Resolve = Callable[[str, int, float], Sequence[Address]]
"""From (name, port, seconds) to all addresses of the name. Raises OSError; TimeoutError if late."""


def post(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    timeout_s: float,
    reach: Reach,
    any_port: bool = False,
    resolve: Resolve | None = None,
) -> Met:
    """POST `body` once, in at most `timeout_s` seconds. Returns the result, also after an error.

    `any_port` is for a URL from before ports were limited. A response's status counts as soon as it
    arrives; the body is read and dropped.
    """
    ends_s = time.monotonic() + timeout_s
    try:
        target = read_url(url, reach.networks)
        addresses = checked_addresses(target, timeout_s, reach, any_port, resolve or look_up)
        return _first_that_answers(target, addresses, headers, body, ends_s)
    except AddressRefused as refused:
        return Met(None, refused.message)
    except (TimeoutError, httpx.TimeoutException):
        return Met(None, f"no answer within {timeout_s:g} s")
    except httpx.ConnectError as error:
        return Met(None, _why_no_connection(error))
    except httpx.HTTPError:
        return Met(None, "the connection broke or did not speak HTTP")
    except OSError:
        return Met(None, "the host name could not be looked up")


def look_up(name: str, port: int, within_s: float) -> Sequence[Address]:
    """The addresses of a name from the system's resolver.

    getaddrinfo has no deadline, so it runs on a thread that is abandoned if it is late.
    """
    answered: queue.SimpleQueue[Sequence[Address] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            entries = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
            answered.put(list(dict.fromkeys(ip_address(entry[4][0]) for entry in entries)))
        except OSError as error:
            answered.put(error)
        except (UnicodeError, ValueError):
            answered.put(OSError("not a name that can be looked up"))

    threading.Thread(target=ask, name="look-up", daemon=True).start()
    try:
        answer = answered.get(timeout=within_s)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def checked_addresses(
    target: Target, within_s: float, reach: Reach, any_port: bool, resolve: Resolve
) -> Sequence[Address]:
    """The addresses to call. If one address of a name is refused, the whole name is refused.

    Raises AddressRefused, or OSError if there is no address.
    """
    literal = target.address
    addresses = [literal] if literal is not None else resolve(target.host, target.port, within_s)
    for address in addresses:
        check_address(address, reach.networks)
        if not any_port:
            check_port(target.port, address, reach)
    if not addresses:
        raise OSError("the name has no address")
    return addresses[:MOST_ADDRESSES]


def _first_that_answers(
    target: Target,
    addresses: Sequence[Address],
    headers: Mapping[str, str],
    body: bytes,
    ends_s: float,
) -> Met:
    for place, address in enumerate(addresses, start=1):
        left_s = ends_s - time.monotonic()
        connect_s = max(0.0, left_s / (len(addresses) - place + 1))
        try:
            with within(left_s):
                return _send(target, address, headers, body, connect_s, left_s)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if place == len(addresses):
                raise
    raise AssertionError("there must be at least one address")


def _send(
    target: Target,
    address: Address,
    headers: Mapping[str, str],
    body: bytes,
    connect_s: float,
    left_s: float,
) -> Met:
    request = httpx.Request(
        "POST",
        httpx.URL(
            scheme=target.scheme,
            host=str(address),
            port=target.port,
            raw_path=target.path.encode("ascii"),
        ),
        headers={
            "host": target.authority,
            "user-agent": f"tierline/{_version()}",
            "content-type": "application/json",
            "connection": "close",
            **headers,
        },
        content=body,
        extensions={
            "sni_hostname": target.host,
            "timeout": httpx.Timeout(left_s, connect=connect_s).as_dict(),
        },
    )
    response = transport().handle_request(request)
    try:
        _read_away(response)
    finally:
        response.close()
    later_s = retry_after_s(response.headers.get("retry-after"))
    error = None if response.is_success else f"the receiver answered {response.status_code}"
    return Met(response.status_code, error, later_s)


def _read_away(response: httpx.Response) -> None:
    """Read the rest of the response, within limits. Its status is already known."""
    count = 0
    try:
        for chunk in response.iter_raw():
            count += len(chunk)
            if count >= MAX_ANSWER_BYTES:
                return
    except httpx.HTTPError:
        return


def _why_no_connection(error: httpx.ConnectError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "the receiver's certificate could not be verified"
        if isinstance(cause, ssl.SSLError):
            return "the TLS handshake failed"
        cause = cause.__cause__ or cause.__context__
    return "no connection could be made"


@cache
def transport() -> DeadlineTransport:
    """The transport of all deliveries of this process."""
    # No keep-alive: a connection made for one name must not serve another name at the same address.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return DeadlineTransport(limits, tls_context())


@cache
def _version() -> str:
    return version("tierline")
