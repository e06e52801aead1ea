"""The Host header of a request: HTTP/1.1 requires exactly one, with a valid host name.

If two programs read different hosts from one request, an attacker can use the difference between a
cache or proxy and the API (RFC 9112, section 3.2: 400 for each of these).
"""

import re

from starlette.types import Scope

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]*)(:[0-9]{0,5})?")


def host_fault(scope: Scope) -> str | None:
    """What is wrong with the request's Host header, or None."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) > 1:
        return "the request has more than one Host header"
    if not hosts:
        return None if scope["http_version"] == "1.0" else "the request has no Host header"
    return None if _HOST.fullmatch(hosts[0]) else "the Host header is not a host and port"
