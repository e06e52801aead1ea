"""A job's road over both latency tiers: its attempts with the decision before each, and a picture
of when it waited and ran."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from tierline.rules import queues
from tierline.views.jobs.attempts import Attempt
from tierline.views.jobs.decisions import Decision
from tierline.views.jobs.jobs import Job

WIDTH, LABEL, ROW = 720, 150, 26  # of the picture, in its own units
LEAST = 3  # of a bar, so that a short attempt is seen
_DEEPER = frozenset(queues.POOLS[queues.DEEPER])


@dataclass(frozen=True)
class Step:
    """One attempt on the road."""

    attempt: Attempt
    place: int | None  # 0: the fast path; 1: deeper analysis; -1: no model; None: unknown
    policy: str | None
    why: str | None  # why this tier was chosen
    outcome: str | None
    threshold: float | None  # what the confidence was compared with
    prior_reason: str | None  # why the attempt before failed; the prompt repeats it

    @property
    def deeper(self) -> bool:
        return self.place is not None and self.place > 0


class Bar(NamedTuple):
    """A bar of the picture."""

    x: float
    y: int
    width: float
    tone: str
    label: str


class Picture(NamedTuple):
    """When the job waited and ran, from its submission to its end or now."""

    bars: list[Bar]
    height: int
    whole_s: float


def steps_of(attempts: Sequence[Attempt], decisions: Sequence[Decision]) -> list[Step]:
    """The attempts in order, each with its decision."""
    decided: Mapping[int | None, Decision] = {one.attempt: one for one in decisions}
    steps = []
    earlier: Attempt | None = None
    for attempt in attempts:
        decision = decided.get(attempt.number)
        went_on = earlier is not None and earlier.tier != attempt.tier
        steps.append(
            Step(
                attempt,
                place_of(attempt.queue, attempt.model),
                None if decision is None else decision.policy,
                None if decision is None else decision.reason,
                None if decision is None else decision.outcome,
                threshold_of(decision),
                earlier.reason if went_on and earlier is not None else None,
            )
        )
        earlier = attempt
    return steps


def place_of(queue: str, model: str | None) -> int | None:
    """The latency tier of an attempt by its queue; None in quarantine, which takes both."""
    if model is not None and model.startswith("micro:"):
        return -1
    if queue in _DEEPER:
        return 1
    return 0 if queue in queues.POOLS[queues.SLM] else None


def threshold_of(decision: Decision | None) -> float | None:
    """The threshold that the attempt's confidence had to reach."""
    if decision is None:
        return None
    if decision.confidence_threshold is not None:
        return decision.confidence_threshold
    return decision.threshold


def picture_of(job: Job, steps: Sequence[Step], now: datetime) -> Picture:
    """Bars for waiting and running, one row an attempt."""
    begin = job.created_at
    ends = [step.attempt.ended_at or now for step in steps]
    end = max([job.completed_at or now, *ends])
    whole_s = max((end - begin).total_seconds(), 0.001)

    def x(at: datetime) -> float:
        part = min(1.0, max(0.0, (at - begin).total_seconds() / whole_s))
        return round(LABEL + part * (WIDTH - LABEL), 1)

    bars = []
    free = begin
    for row, step in enumerate(steps):
        attempt = step.attempt
        y = row * ROW + 6
        started, ended = attempt.started_at, attempt.ended_at or now
        if started > free:
            bars.append(_bar(x(free), x(started), y, "waited", ""))
        tone = "deeper" if step.deeper else "fast"
        bars.append(_bar(x(started), x(ended), y, tone, f"{attempt.number}. {attempt.tier}"))
        free = ended
    if job.completed_at is None and free < now:
        bars.append(_bar(x(free), x(now), len(steps) * ROW + 6, "waited", "waiting"))
    rows = max((bar.y // ROW for bar in bars), default=0) + 1
    return Picture(bars, rows * ROW + 6, whole_s)


def _bar(begin: float, end: float, y: int, tone: str, label: str) -> Bar:
    width = max(float(LEAST), end - begin)
    return Bar(min(begin, WIDTH - width), y, round(width, 1), tone, label)
