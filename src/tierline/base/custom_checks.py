"""The operator's own checks, as the setting TIERLINE_CHECKS names them.

A feature file refers to a check by its name only: where the code or the server is stands with the
operator. `{"vat": {"python": "acme-vat"}, "stock": {"url": "https://…", "secret": "whsec_…"}}`
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tierline.base.json_text import JSON

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
GROUP = "tierline.checks"
"""The group of entry points in which a Python check's package names its function."""
TIMEOUT_S = 5.0  # of one check, unless it says otherwise
MOST_TIMEOUT_S = 60.0
MOST_CHECKS = 100
_KEYS = frozenset({"python", "url", "secret", "timeout_s"})


@dataclass(frozen=True)
class CustomCheck:
    """One check: a Python function, by its entry point, or a server, by its address."""

    name: str
    python: str | None = None  # the name of an entry point in GROUP
    url: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)  # whsec_…: requests are signed with it
    timeout_s: float = TIMEOUT_S  # of one check of one answer, in seconds


def parse_custom_checks(text: str) -> Mapping[str, CustomCheck]:
    """The checks of the setting. Raises ValueError, which names the check and repeats no value."""
    if not text.strip():
        return {}
    try:
        given = json.loads(text)
    except ValueError:
        raise ValueError("is not JSON") from None
    if not isinstance(given, dict) or len(given) > MOST_CHECKS:
        raise ValueError(f"must be a JSON object of at most {MOST_CHECKS} checks, by name")
    return {name: _read(name, entry) for name, entry in given.items()}


def _read(name: str, entry: JSON) -> CustomCheck:
    if not NAME.fullmatch(name):
        raise ValueError("a check's name has small letters, digits and hyphens, at most 63")
    if not isinstance(entry, dict) or not entry.keys() <= _KEYS:
        raise ValueError(f"{name}: must be an object with {', '.join(sorted(_KEYS))}")
    if ("python" in entry) == ("url" in entry):
        raise ValueError(f"{name}: needs either python (an entry point) or url")
    timeout_s = entry.get("timeout_s", TIMEOUT_S)
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float):
        raise ValueError(f"{name}: timeout_s must be a number of seconds")
    if not 0.1 <= timeout_s <= MOST_TIMEOUT_S:
        raise ValueError(f"{name}: timeout_s must be 0.1 to {MOST_TIMEOUT_S:g} s")
    for key in ("python", "url", "secret"):
        if key in entry and not (isinstance(entry[key], str) and entry[key]):
            raise ValueError(f"{name}: {key} must be text")
    if "url" in entry:
        _check_server(name, entry)
    elif "secret" in entry:
        raise ValueError(f"{name}: secret is for a check with a url")
    return CustomCheck(
        name, entry.get("python"), entry.get("url"), entry.get("secret"), float(timeout_s)
    )


def _check_server(name: str, entry: Mapping[str, str]) -> None:
    try:
        parts = urlsplit(entry["url"])
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        port_is_right = False
    if not port_is_right or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{name}: url must be an address such as https://checks.example.com/vat")
    if parts.username or parts.password:
        raise ValueError(f"{name}: url must not contain a password; requests are signed")
    if not entry.get("secret", "").startswith("whsec_"):
        raise ValueError(f"{name}: needs a secret that begins with whsec_; requests are signed")
