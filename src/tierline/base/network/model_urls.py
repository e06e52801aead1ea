"""URLs of model servers from the operator's settings, never from a job, caller or answer.

A URL here contains no credentials. Those have settings of their own, which are never shown; in a
URL they would appear in error texts, logs and process lists. So no message repeats a URL.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

NAMED = re.compile(r"[a-z][a-z0-9-]{0,39}")
ANY = ""  # the key of a server for every model


def check_model_url(url: str) -> str:
    """The URL, if it is a plain one. Raises ValueError with the reason, without the URL."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not a URL such as https://models.example.com/v1") from None
    if "@" in parts.netloc:
        raise ValueError("contains a user name or password; set the API key in its own setting")
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("must be an http:// or https:// URL such as https://models.example.com/v1")
    if parts.query or parts.fragment:
        raise ValueError("must not contain ? or #: the part behind it is not sent")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("contains a space or another character that is not allowed in a URL")
    return url


def local_urls(setting: str | None) -> Mapping[str, Sequence[str]]:
    """Model → URLs of its servers, from entries separated by commas: `model=url`, repeated for a
    model with several servers, or `url` alone for every model.

    Raises ValueError with the number of the wrong entry.
    """
    urls: dict[str, list[str]] = {}
    parts = [part.strip() for part in (setting or "").split(",")]
    for number, part in enumerate((part for part in parts if part), start=1):
        head, equals, tail = part.partition("=")
        model, url = (head.strip(), tail.strip()) if equals and "://" not in head else (ANY, part)
        try:
            urls.setdefault(model, []).append(check_model_url(url))
        except ValueError as error:
            raise ValueError(f"entry {number} (a URL or model=URL) {error}") from None
    return urls


def named_urls(setting: str | None) -> Mapping[str, str]:
    """Name → URL, from `name=url` entries separated by commas. Each name is used once.

    Raises ValueError with the number of the wrong entry.
    """
    urls: dict[str, str] = {}
    parts = [part.strip() for part in (setting or "").split(",")]
    for number, part in enumerate((part for part in parts if part), start=1):
        name, equals, url = (piece.strip() for piece in part.partition("="))
        if not equals or not NAMED.fullmatch(name):
            raise ValueError(f"entry {number} is not name=URL, with a name such as my-server")
        if name in urls:
            raise ValueError(f"entry {number} repeats a name")
        try:
            urls[name] = check_model_url(url)
        except ValueError as error:
            raise ValueError(f"entry {number}: the URL {error}") from None
    return urls
