"""The filters of the list of jobs, as a form sends them and as the service takes them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from api.parameters.job_details import read_metadata
from tierline.base.errors import InvalidInput, Problem
from tierline.rules.jobs import Status
from tierline.rules.verdicts import Verdict
from tierline.services.jobs.read_jobs import Details, Filters

VERDICTS = tuple(verdict.value for verdict in Verdict)
STATUSES = tuple(status.value for status in Status)
MOST_NAME = 63
MOST_TEXT = 255
_DETAILS = ("verdict", "user", "session", "metadata", "escalated")
_FIELDS = ("feature", "tier", "status", "batch", *_DETAILS, "drafts")


@dataclass(frozen=True)
class JobFilters:
    """What the form says. Empty: any."""

    feature: str = ""
    tier: str = ""
    status: str = ""
    batch: str = ""
    verdict: str = ""
    user: str = ""
    session: str = ""
    metadata: str = ""  # key=value
    escalated: str = ""  # yes or no
    drafts: bool = False

    @property
    def any(self) -> bool:
        """Whether something is filtered out, besides drafts."""
        return bool(self.feature or self.tier or self.status or self.batch or self.searches)

    @property
    def searches(self) -> bool:
        """Whether jobs are examined one by one, because no index helps."""
        return any(getattr(self, name) for name in _DETAILS)

    def query(self, cursor: str | None = None, *, count: bool = False) -> str:
        """The query of a link to a page of this list. `count`: the page says how many match."""
        parameters = {name: getattr(self, name) for name in _FIELDS if name != "drafts"}
        more = {
            "drafts": "1" if self.drafts else "",
            "cursor": cursor or "",
            "count": "1" if count else "",
        }
        return urlencode({name: text for name, text in {**parameters, **more}.items() if text})


def read_filters(query: Mapping[str, str]) -> tuple[JobFilters, Filters]:
    """Raises InvalidInput for a value that no job can have."""
    texts = {name: query.get(name, "").strip() for name in _FIELDS if name != "drafts"}
    filters = JobFilters(**texts, drafts=bool(query.get("drafts")))
    problems = []
    for name in ("feature", "tier"):
        text = getattr(filters, name)
        if len(text) > MOST_NAME or "\x00" in text or not text.isprintable():
            problems.append(Problem(f"has at most {MOST_NAME} printable characters", f"?{name}"))
    if filters.status and filters.status not in STATUSES:
        problems.append(Problem(f"is one of {', '.join(STATUSES)}", "?status"))
    problems += _problems(filters)
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


def _problems(filters: JobFilters) -> Iterator[Problem]:
    """Of the details."""
    if filters.verdict and filters.verdict not in VERDICTS:
        yield Problem(f"is one of {', '.join(VERDICTS)}", "?verdict")
    if filters.escalated not in ("", "yes", "no"):
        yield Problem("is yes or no", "?escalated")
    for name in ("user", "session", "metadata"):
        text = getattr(filters, name)
        if len(text) > MOST_TEXT or "\x00" in text:
            yield Problem(f"has at most {MOST_TEXT} characters", f"?{name}")


def details_of(filters: JobFilters) -> Details:
    """What is searched for. Raises InvalidInput for metadata that is not key=value."""
    return Details(
        filters.verdict or None,
        filters.user or None,
        filters.session or None,
        read_metadata(filters.metadata or None),
        {"": None, "yes": True, "no": False}[filters.escalated],
    )
