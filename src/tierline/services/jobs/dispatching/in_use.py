"""The threads in use by running and by hinted jobs, as a choice counts them."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

from tierline.rules.queues import POOLS
from tierline.rules.scheduling import (
    Candidate,
    Waiting,
)
from tierline.services.jobs.dispatching.models_in_use import ModelsInUse
from tierline.storage.jobs.hints import OutJob


@dataclass
class InUse:
    """The threads in use, by running and by hinted jobs. The counts grow during a choice."""

    running: int = 0
    hinted: int = 0
    hinted_in_lane: Counter[str] = field(default_factory=Counter)  # by queue
    by_account: Counter[int] = field(default_factory=Counter)
    in_all_pools: Counter[int] = field(default_factory=Counter)  # by account
    by_model: Counter[str] = field(default_factory=Counter)
    in_lane: Counter[tuple[int, str]] = field(default_factory=Counter)  # by account and queue
    of_model_in_lane: Counter[tuple[int, str, str]] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)  # by model: still waiting in earlier lanes

    def in_whole_lane(self, queue: str) -> int:
        return sum(count for (_, lane), count in self.in_lane.items() if lane == queue)

    def add(self, account_id: int, queue: str, model: str | None, count: int = 1) -> None:
        """`model` is None if it is unknown because a later release wrote the feature version."""
        self.by_account[account_id] += count
        self.in_all_pools[account_id] += count
        self.in_lane[account_id, queue] += count
        if model is not None:
            self.by_model[model] += count
            self.of_model_in_lane[account_id, queue, model] += count

    def note(self, queue: str, waiting: Iterable[Waiting], jobs: Collection[Candidate]) -> None:
        """Count the chosen jobs as in use, and the others that could go as waiting in this lane."""
        chosen = {job.job_id for job in jobs}
        for each in waiting:
            went = Counter(job.model for job in each.jobs if job.job_id in chosen)
            for model, count in went.items():
                self.add(each.account_id, queue, model, count)
            self.left += could_go(each) - went


def in_use_of(
    connection: Connection[Any], name: str, out_jobs: Iterable[OutJob], models: ModelsInUse
) -> InUse:
    """The threads of pool `name` that running and hinted jobs use."""
    in_use = InUse()
    for out in out_jobs:
        if out.queue not in POOLS[name]:
            in_use.in_all_pools[out.account_id] += 1
            continue
        if out.hinted:
            in_use.hinted += 1
            in_use.hinted_in_lane[out.queue] += 1
        else:
            in_use.running += 1
        tier = models.of_tier(connection, out.version_id, out.tier)
        model = None if tier is None else tier.models[0]
        in_use.add(out.account_id, out.queue, model)
    return in_use


def could_go(waiting: Waiting) -> Counter[str]:
    """How many jobs of each model the account could have started within its free threads."""
    jobs = Counter(job.model for job in waiting.jobs)
    return Counter({model: min(count, waiting.free) for model, count in jobs.items()})
