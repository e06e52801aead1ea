"""Old routes that keep working for a release, and say so in their answers.

The header Deprecation (RFC 9745) says since when a route is deprecated. Sunset (RFC 8594) says when
it may be removed. A link with the relation successor-version (RFC 5829) names its replacement.
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
        "description": "when the route may be removed (RFC 8594)",
        "schema": {"type": "string"},
    },
    "Link": {
        "description": "the route to use instead, with the relation successor-version",
        "schema": {"type": "string"},
    },
}
"""The headers of a deprecated route's answers, for the OpenAPI document."""


def deprecation_headers(successor: str | None) -> dict[str, str]:
    """The headers of a deprecated route's answer; `successor` is the path to use instead."""
    headers = {
        "Deprecation": f"@{int(DEPRECATED_AT.timestamp())}",
        "Sunset": format_datetime(SUNSET_AT, usegmt=True),
    }
    if successor is not None:
        headers["Link"] = f'<{successor}>; rel="successor-version"'
    return headers
