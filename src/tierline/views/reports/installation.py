"""The JSON of the installation: queues, circuits, usage, readiness."""

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from tierline.views.jobs.tokens import TokenUsage
from tierline.views.view import Time, UnknownCostCalls, Usd, View


class QueueDepth(View):
    """The waiting and running jobs of a queue."""

    queue: str
    waiting: int = Field(description="in Postgres, without a hint under way")
    delayed: int = Field(description="waiting jobs that are not due yet")
    hinted: int = Field(description="on their way through the broker")
    running: int
    threads: int = Field(description="of live workers")
    accounts_waiting: int
    oldest_s: float | None = Field(description="how long the first job has waited")
    counted_s_ago: float | None = Field(
        description="null: all numbers are of now; else they, or `waiting`, `delayed` and"
        " `accounts_waiting` of a long queue alone, were counted so many seconds ago"
    )


class FailedCheck(View):
    """How many attempts of the last hour failed one check."""

    feature: str
    tier: str
    verdict: str
    attempts: int


class Queues(View):
    """Every queue, and which checks failed."""

    data: list[QueueDepth]
    failed_checks: list[FailedCheck] = Field(description="of the attempts begun in the last hour")


def _not_past(seconds: float) -> float:
    return max(0.0, round(seconds, 3))


class Circuit(View):
    """The state of a model that has failed before."""

    model: str
    open: bool = Field(description="no calls are sent, except for probes")
    cause: Annotated[str, AfterValidator(str.lower)] | None = Field(
        description="why it is open: server, key, quota …"
    )
    reason: str | None
    opened_at: Time | None
    failed_probes: int
    probe_in_s: Annotated[float, AfterValidator(_not_past)] | None = Field(
        description="time until the next probe may be sent"
    )
    paused_s: Annotated[float, AfterValidator(_not_past)] = Field(
        description="time until its rate limit allows calls"
    )


class Circuits(View):
    """Every model that ever failed."""

    data: list[Circuit]


class UsageRow(View):
    """The usage of a group of calls, with the names that it is grouped by."""

    day: date = date.min
    feature: str = ""
    tier: str = ""
    model: str = ""
    user: str = Field(default="", description="empty: the jobs have none")
    purpose: str = Field(
        default="",
        description="of the calls; shadow and judge calls compare answers, and no caller's budget"
        " pays for them",
    )
    jobs: int
    calls: int
    cost_usd: Usd
    unknown_cost_calls: UnknownCostCalls
    usage: TokenUsage
    model_s: float = Field(description="seconds spent in calls")


class Usage(View):
    """Sums of an account's calls."""

    since: Time = Field(serialization_alias="from")
    to: Time
    group_by: list[str]
    data: list[UsageRow]
    more_users: int = Field(default=0, description="by user: how many others have used something")


class Ready(View):
    """Whether requests can be served, and other faults."""

    ready: bool
    degraded: dict[str, str] = Field(description="part: reason")


class Health(View):
    """The process is alive."""

    status: Annotated[str, WithJsonSchema({"type": "string", "const": "ok"})]
