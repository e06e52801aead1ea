"""Polls a batch's progress. Counting a million rows takes the API seconds, so the pause grows with
the duration of the last answers."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from tierline.base.json_text import JSON
from tierline.cli.run.backfill.progress import Progress, Snapshot
from tierline.cli.run.backfill.retrying_client import RetryingClient
from tierline.cli.run.backfill.send import room_under

LEAST_PAUSE_S = 0.1
USUAL_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
PAUSE_SHARE = 10  # pauses are this many times as long as answers take


class Follower:
    """Follows one batch of a run."""

    def __init__(
        self,
        api: RetryingClient,
        batch_id: str,
        progress: Progress,
        tiers: Sequence[str] = (),
        spent: Decimal = Decimal(0),
        retry: int = 0,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api = api
        self._id = batch_id
        self._progress = progress
        self._tiers = tiers  # in the feature's order
        self._spent = spent  # USD, for the run's other batches
        self._pause = pause
        self._began = time.monotonic()
        self._took: deque[float] = deque(maxlen=3)  # seconds; a single slow answer has no effect
        self._due = 0.0
        self.snapshot = Snapshot(retry=retry, cost_usd=str(spent))

    @property
    def cost_usd(self) -> Decimal:
        """The cost of the whole run, as far as it is known."""
        return Decimal(self.snapshot.cost_usd)

    @property
    def unfinished(self) -> int:
        return sum(self.snapshot.counts.get(status, 0) for status in ("queued", "in_progress"))

    def note_sent(self, rows: int, bad: int) -> None:
        """Record new jobs and invalid rows; show them, with new counts if due."""
        snapshot = self.snapshot
        self.snapshot = replace(snapshot, sent=snapshot.sent + rows, bad=snapshot.bad + bad)
        if time.monotonic() >= self._due:
            self.poll()

    def poll(self) -> None:
        """Request the counts now."""
        started_at = time.monotonic()
        batch: JSON = self._api.batch(self._id)
        now = time.monotonic()
        usual_s = min(USUAL_PAUSE_S, max(LEAST_PAUSE_S, (now - self._began) / PAUSE_SHARE))
        self._took.append(now - started_at)
        pause_s = max(usual_s, PAUSE_SHARE * min(self._took))
        self._due = now + min(pause_s, LONGEST_PAUSE_S)
        self.snapshot = replace(
            self.snapshot,
            counts=batch["counts"],
            tiers={name: batch["tiers"][name] for name in self._tiers if name in batch["tiers"]},
            cost_usd=str(self._spent + Decimal(batch["cost_usd"])),
            unknown_cost_calls=batch["unknown_cost_calls"],
            paused=batch.get("paused_at") is not None,
        )
        self._progress.show(self.snapshot)

    def wait(self) -> None:
        """Wait until the next poll is due, and poll."""
        self._pause(max(0.0, self._due - time.monotonic()))
        self.poll()

    def until_ended(self, all_sent: bool) -> None:
        """Follow until every row that was sent has ended."""
        self.snapshot = replace(self.snapshot, all_sent=all_sent)
        self.poll()
        while self.unfinished:
            self.wait()

    def room(self, cap: Decimal) -> int:
        """How many rows may be sent under the cap (a Gate). Waits while there is no room."""
        self.poll()
        while self._spent + self._charged() < cap:
            room = room_under(
                cap - self._spent, self._charged(), self.snapshot.ended, self.unfinished
            )
            if room:
                return room
            self.wait()
        return 0

    def _charged(self) -> Decimal:
        """This batch's cost; each call of unknown cost counts as much as an average row."""
        cost = self.cost_usd - self._spent
        if not self.snapshot.ended:
            return cost
        return cost + self.snapshot.unknown_cost_calls * cost / self.snapshot.ended
