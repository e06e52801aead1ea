"""What callers are shown of the installation: queues, circuits, usage, readiness."""

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from tierline.views.jobs import TokenUsage
from tierline.views.view import Time, UnknownCostCalls, Usd, View


class QueueDepth(View):
    """What waits and runs in a queue."""

    queue: str
    waiting: int = Field(description="in Postgres, with no hint out")
    delayed: int = Field(description="of the waiting, not due yet")
    hinted: int = Field(description="on their way through the broker")
    running: int
    threads: int = Field(description="of live workers")
    accounts_waiting: int
    oldest_s: float | None = Field(description="how long the first one has waited")


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
    """How a model stands that something was wrong with."""

    model: str
    open: bool = Field(description="no call goes out, but for a probe")
    cause: Annotated[str, AfterValidator(str.lower)] | None = Field(
        description="of its being open: server, key, quota …"
    )
    reason: str | None
    opened_at: Time | None
    failed_probes: int
    probe_in_s: Annotated[float, AfterValidator(_not_past)] | None = Field(
        description="until the next probe may go"
    )
    paused_s: Annotated[float, AfterValidator(_not_past)] = Field(
        description="until its rate limit lets calls out"
    )


class Circuits(View):
    """Every model that something was wrong with."""

    data: list[Circuit]


class UsageRow(View):
    """What a group of calls used; with the names that it is grouped by."""

    day: date = date.min
    feature: str = ""
    tier: str = ""
    model: str = ""
    purpose: str = Field(
        default="",
        description="of the calls; shadow and judge are what was done to compare answers, and no"
        " caller's budget pays for them",
    )
    jobs: int
    calls: int
    cost_usd: Usd
    unknown_cost_calls: UnknownCostCalls
    usage: TokenUsage
    model_s: float = Field(description="seconds spent in calls")


class Usage(View):
    """Sums of an account's calls."""

    since: Time = Field(alias="from")
    to: Time
    group_by: list[str]
    data: list[UsageRow]


class Ready(View):
    """Whether requests can be served, and what is wrong around."""

    ready: bool
    degraded: dict[str, str] = Field(description="part: reason")


class Health(View):
    """The process lives."""

    status: Annotated[str, WithJsonSchema({"type": "string", "const": "ok"})]
