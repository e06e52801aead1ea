"""Where model servers are: URLs from the operator's settings, never from a job, caller or answer.

A URL here names a place and nothing else. Credentials have settings of their own, which are never
shown; in a URL they would end in error texts, logs and process lists. So no message repeats one.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

NAMED = re.compile(r"[a-z][a-z0-9-]{0,39}")
ANY = ""  # the key of a server that takes every model


def check_model_url(url: str) -> str:
    """The URL, if it is a plain one. Raises ValueError saying what to change, without the URL."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not a URL such as https://models.example.com/v1") from None
    if "@" in parts.netloc:
        raise ValueError("holds a user name or password; an API key has a setting of its own")
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("must be an http:// or https:// URL such as https://models.example.com/v1")
    if parts.query or parts.fragment:
        raise ValueError("must end with its path: what follows ? or # is not sent")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("holds a space or a character that no URL has")
    return url


def local_urls(setting: str | None) -> Mapping[str, Sequence[str]]:
    """Model → URLs of its servers, from entries separated by commas: `model=url`, a model's name as
    often as it has servers, or `url` alone, for every model.

    Raises ValueError, naming the entry by its number.
    """
    urls: dict[str, list[str]] = {}
    parts = [part.strip() for part in (setting or "").split(",")]
    for number, part in enumerate((part for part in parts if part), start=1):
        head, equals, tail = part.partition("=")
        model, url = (head.strip(), tail.strip()) if equals and "://" not in head else (ANY, part)
        try:
            urls.setdefault(model, []).append(check_model_url(url))
        except ValueError as error:
            raise ValueError(f"entry {number}, a URL or model=URL: {error}") from None
    return urls


def named_urls(setting: str | None) -> Mapping[str, str]:
    """Name → URL, from `name=url` entries separated by commas, each name once.

    Raises ValueError, naming the entry by its number.
    """
    urls: dict[str, str] = {}
    parts = [part.strip() for part in (setting or "").split(",")]
    for number, part in enumerate((part for part in parts if part), start=1):
        name, equals, url = (piece.strip() for piece in part.partition("="))
        if not equals or not NAMED.fullmatch(name):
            raise ValueError(f"entry {number} is not name=URL, with a name such as my-server")
        if name in urls:
            raise ValueError(f"entry {number} gives a name twice")
        try:
            urls[name] = check_model_url(url)
        except ValueError as error:
            raise ValueError(f"entry {number}: the URL {error}") from None
    return urls
