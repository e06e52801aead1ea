"""The links of the console's navigation: only pages that the caller's key may open."""

from typing import NamedTuple

from api.access.keys import Caller
from api.console.session import CONSOLE
from tierline.rules.roles import Scope


class Link(NamedTuple):
    """A link, and whether the page shown now belongs to it."""

    href: str
    name: str
    current: bool


_PAGES: tuple[tuple[str, str, Scope], ...] = (
    ("", "Overview", "read"),
    ("/jobs", "Jobs", "read"),
    ("/batches", "Batches", "read"),
    ("/bulk-actions", "Bulk actions", "read"),
    ("/review", "Review", "read"),
    ("/features", "Features", "read"),
    ("/money", "Money", "read"),
    ("/providers", "Providers", "read"),
    ("/webhooks", "Webhooks", "read"),
    ("/keys", "Keys", "admin"),
    ("/audit", "Audit log", "admin"),
)


def links_for(caller: Caller, path: str) -> list[Link]:
    """The links that the caller may follow, in order."""
    return [
        Link(f"{CONSOLE}{place}", name, _is_under(path, f"{CONSOLE}{place}"))
        for place, name, scope in _PAGES
        if caller.may(scope)
    ]


def _is_under(path: str, page: str) -> bool:
    return path == page or (page != CONSOLE and path.startswith(f"{page}/"))
