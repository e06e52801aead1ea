"""The query of a list in OpenAI's manner: `after` the id of the last one, `limit`, and more."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tierline.base.errors import InvalidInput, Problem

_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class ListQuery:
    """What a caller asks of a list."""

    after: str | None
    limit: int
    order: str = "desc"
    purpose: str | None = None


def read_list_query(
    query: Mapping[str, str], *, most: int, default: int, more: tuple[str, ...] = ()
) -> ListQuery:
    """The query. `more`: which of order and purpose the list knows. Raises InvalidInput."""
    problems = [
        Problem("is not supported", f"?{name[:80]}")
        for name in query
        if name not in ("after", "limit", *more)
    ]
    text = query.get("limit", str(default))
    limit = int(text) if _NUMBER.fullmatch(text) else 0
    if not 1 <= limit <= most:
        problems.append(Problem(f"must be 1 to {most}", "?limit"))
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        problems.append(Problem("must be asc or desc", "?order"))
    if problems:
        raise InvalidInput(problems)
    return ListQuery(query.get("after"), limit, order, query.get("purpose"))
