"""JSON Pointer (RFC 6901): naming a place in a JSON document."""

from collections.abc import Sequence


def pointer(path: Sequence[str | int]) -> str:
    """The pointer of a path."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
