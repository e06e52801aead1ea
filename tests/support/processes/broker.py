"""The broker's address, for tests that have a database of their own on one server."""

from urllib.parse import parse_qsl, urlencode, urlsplit


def with_db(redis_url: str, db: int) -> str:
    """The same server, another of its numbered databases."""
    parts = urlsplit(redis_url)
    query = {key: value for key, value in parse_qsl(parts.query) if key != "db"}
    path = parts.path
    if parts.scheme == "unix":
        query["db"] = str(db)
    else:
        path = f"/{db}"
    # urlunsplit would drop the empty authority of unix:///path
    text = f"{parts.scheme}://{parts.netloc}{path}"
    return f"{text}?{urlencode(query)}" if query else text
