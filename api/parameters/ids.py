"""Ids in the paths of requests."""

from uuid import UUID

from tierline.base.errors import NotFound


def read_id(text: str, what: str) -> UUID:
    """The id in a path. Raises NotFound, which names `what`, for a text that cannot be an id."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"there is no {what} {text[:80]!r}") from None
