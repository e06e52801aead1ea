"""The filters of the list of jobs, as a form sends them and as the service takes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from tierline.base.errors import InvalidInput, Problem
from tierline.rules.jobs import Status
from tierline.services.jobs.read_jobs import Filters

STATUSES = tuple(status.value for status in Status)
MOST_NAME = 63
_FIELDS = ("feature", "tier", "status", "batch", "drafts")


@dataclass(frozen=True)
class JobFilters:
    """What the form says. Empty: any."""

    feature: str = ""
    tier: str = ""
    status: str = ""
    batch: str = ""
    drafts: bool = False

    @property
    def any(self) -> bool:
        """Whether something is filtered out, besides drafts."""
        return bool(self.feature or self.tier or self.status or self.batch)

    def query(self, cursor: str | None = None) -> str:
        """The query of a link to a page of this list."""
        parameters = {name: getattr(self, name) for name in _FIELDS if name != "drafts"}
        more = {"drafts": "1" if self.drafts else "", "cursor": cursor or ""}
        return urlencode({name: text for name, text in {**parameters, **more}.items() if text})


def read_filters(query: Mapping[str, str]) -> tuple[JobFilters, Filters]:
    """Raises InvalidInput for a value that no job can have."""
    texts = {name: query.get(name, "").strip() for name in ("feature", "tier", "status", "batch")}
    filters = JobFilters(**texts, drafts=bool(query.get("drafts")))
    problems = []
    for name in ("feature", "tier"):
        text = getattr(filters, name)
        if len(text) > MOST_NAME or "\x00" in text or not text.isprintable():
            problems.append(Problem(f"has at most {MOST_NAME} printable characters", f"?{name}"))
    if filters.status and filters.status not in STATUSES:
        problems.append(Problem(f"is one of {', '.join(STATUSES)}", "?status"))
    batch = None
    if filters.batch:
        try:
            batch = UUID(filters.batch)
        except ValueError:
            problems.append(Problem("is the id of a batch", "?batch"))
    if problems:
        raise InvalidInput(problems)
    selection = Filters(
        filters.feature or None, filters.status or None, filters.tier or None, batch, filters.drafts
    )
    return filters, selection
