"""Broker URLs in two forms: for redis-py (REDIS_URL) and for kombu.

REDIS_URL has redis-py's form: redis://, rediss:// or unix://. Celery's transport needs a socket as
redis+socket:// with the database as `virtual_host`, and refuses rediss:// without a setting for
certificate checks. No connection is made here.
"""

from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from tierline.base.errors import UsageError

SCHEMES = ("redis", "rediss", "unix")


def unix_url(path: str, password: str, db: int = 0) -> str:
    """redis-py's URL of a server on a Unix socket."""
    return f"unix://:{quote(password, safe='')}@{quote(path)}?db={db}"


def kombu_url(redis_url: str) -> str:
    """The same broker as Celery's `broker_url`. Raises UsageError for an unknown scheme."""
    parts = urlsplit(_checked(redis_url))
    query = dict(parse_qsl(parts.query))
    if parts.scheme == "unix":
        # Flower does not unquote the path of this URL: %20 there makes its broker page empty.
        path = unquote(parts.path)
        if quote(path) != path:
            raise UsageError(
                "REDIS_URL: the socket's path may contain only letters, digits and / - _ . ~"
            )
        db = query.pop("db", "0")
        query["virtual_host"] = db
        return f"redis+socket://{_credentials(redis_url)}{path}?{urlencode(query)}"
    if parts.scheme == "rediss":
        query.setdefault("ssl_cert_reqs", "required")
    path = f"/{query.pop('db')}" if "db" in query else parts.path
    return urlunsplit((parts.scheme, parts.netloc, path, urlencode(query), ""))


def _checked(redis_url: str) -> str:
    scheme = urlsplit(redis_url).scheme
    if scheme not in SCHEMES:
        raise UsageError(
            f"REDIS_URL: {scheme or 'no scheme'!r} is not one of redis://, rediss://, unix://"
        )
    return redis_url


def _credentials(url: str) -> str:
    netloc = urlsplit(url).netloc
    return f"{netloc.rpartition('@')[0]}@" if "@" in netloc else ""
