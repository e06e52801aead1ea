"""The filter of jobs by their metadata, as a query and a form give it."""

from tierline.base.errors import InvalidInput, Problem


def read_metadata(text: str | None, place: str = "?metadata") -> tuple[str, str] | None:
    """A name and its value, from `key=value`. Raises InvalidInput for a text without them, which
    says that it stands at `place`."""
    if text is None:
        return None
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise InvalidInput([Problem("must be key=value, such as run=7", place)])
    return name, value
