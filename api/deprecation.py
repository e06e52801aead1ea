"""Old routes that keep working for a release, and say so in their answers.

RFC 9745 (Deprecation) gives since when a route is deprecated, RFC 8594 (Sunset) when it goes, and a
link with the relation successor-version (RFC 5829) what to ask instead.
"""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

DEPRECATED_AT = datetime(2026, 12, 1, tzinfo=UTC)  # version 0.2.0
SUNSET_AT = datetime(2027, 6, 1, tzinfo=UTC)  # not before version 0.3.0

HEADERS: dict[str, Any] = {
    "Deprecation": {
        "description": "since when the route is deprecated, @ and seconds since 1970 (RFC 9745)",
        "schema": {"type": "string"},
    },
    "Sunset": {
        "description": "when the route may go (RFC 8594)",
        "schema": {"type": "string"},
    },
    "Link": {
        "description": "what to ask instead, with the relation successor-version",
        "schema": {"type": "string"},
    },
}
"""The headers as the OpenAPI document has them, for the answers of a deprecated route."""


def deprecation_headers(successor: str | None) -> dict[str, str]:
    """The headers of an answer of a deprecated route; `successor` is the path to ask instead."""
    headers = {
        "Deprecation": f"@{int(DEPRECATED_AT.timestamp())}",
        "Sunset": format_datetime(SUNSET_AT, usegmt=True),
    }
    if successor is not None:
        headers["Link"] = f'<{successor}>; rel="successor-version"'
    return headers
