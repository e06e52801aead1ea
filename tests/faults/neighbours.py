"""Callers who have nothing to do with a fault: how long they wait without it and beside it.

One turn of a caller is one job from its submission to its answer, and then one page of a list. So a
turn sees the API, the queues and the workers. Each turn's job is in the books like any other.
"""

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.faults.load import Accepted
from tests.faults.orders import ACCOUNTS, Order
from tests.faults.scene import Scene

CALLERS = 8
TURN_S = 30.0  # more than this is an answer that did not come
LEAST_TURNS = 40  # fewer say nothing about a 95th percentile
ALONE_S = 12.0
MOST_RATIO = 2.0


@dataclass(frozen=True)
class Beside:
    """How long the turns of the other accounts took, in seconds at the 95th percentile."""

    alone_s: float
    beside_s: float
    turns: int  # beside the fault

    @property
    def ratio(self) -> float:
        return self.beside_s / self.alone_s

    @property
    def problem(self) -> str | None:
        """What is wrong with it; None where the others noticed little."""
        if self.turns < LEAST_TURNS:
            return f"the other accounts had {self.turns} turns beside it: too few to tell"
        if self.ratio > MOST_RATIO:
            return (
                f"the other accounts' p95 was {self.beside_s:.2f} s beside it, "
                f"{self.ratio:.1f} times the {self.alone_s:.2f} s alone"
            )
        return None


@dataclass
class Neighbours:
    """Callers of the known accounts, in threads, as long as the block lasts."""

    scene: Scene
    round_name: str
    accepted: Accepted
    odd: list[str] = field(default_factory=list)  # answers that nobody should be given
    _turns: list[tuple[float, float]] = field(default_factory=list)  # began, took; in seconds
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _stop: threading.Event = field(default_factory=threading.Event)

    def timed(self, do: Callable[[], None]) -> Beside:
        """Time turns alone, and then while `do` runs."""
        with self._calling():
            self.scene.last(ALONE_S)
            began_s = time.monotonic()
            do()
            ended_s = time.monotonic()
        alone = [took for at, took in self._turns if at + took < began_s]
        beside = [took for at, took in self._turns if began_s <= at < ended_s]
        return Beside(p95(alone), p95(beside), len(beside))

    @contextmanager
    def _calling(self) -> Iterator[None]:
        threads = [
            threading.Thread(target=self._call, args=(ACCOUNTS[number % len(ACCOUNTS)],))
            for number in range(CALLERS)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _call(self, account: str) -> None:
        with self.scene.client(self.scene.keys[account]) as client:
            client.timeout = httpx.Timeout(TURN_S)
            while not self._stop.is_set():
                order = Order(f"{self.round_name}-n{next(self._numbers)}", "plain", account)
                began_s = time.monotonic()
                self._turn(client, order)
                self._turns.append((began_s, time.monotonic() - began_s))

    def _turn(self, client: httpx.Client, order: Order) -> None:
        body = {"feature": order.feature, "input": order.input}
        headers = {"Idempotency-Key": order.mark, "Prefer": f"wait={TURN_S - 5:g}"}
        self._good("POST /v1/jobs", lambda: client.post("/v1/jobs", json=body, headers=headers))
        self.accepted.orders[order.mark] = order
        self._good("GET /v1/jobs", lambda: client.get("/v1/jobs", params={"limit": 20}))

    def _good(self, what: str, ask: Callable[[], httpx.Response]) -> None:
        """Ask until the answer is good; every other answer is noted."""
        deadline_s = time.monotonic() + 2 * TURN_S
        while time.monotonic() < deadline_s:
            try:
                answer = ask()
            except httpx.TransportError as error:
                self.odd.append(f"{what}: {type(error).__name__}")
            else:
                if answer.is_success:
                    return
                self.odd.append(f"{what}: {answer.status_code} {answer.text[:200]}")
            self.scene.last(0.1)
        raise AssertionError(f"{what} had no good answer within {2 * TURN_S:g} s: {self.odd[-1]}")


def p95(times_s: list[float]) -> float:
    """The 95th percentile by the nearest rank; infinite where there is nothing."""
    if not times_s:
        return math.inf
    return sorted(times_s)[math.ceil(0.95 * len(times_s)) - 1]
