"""`python -m benchmarks accounts`: what a choice takes while 100, 1,000 or 5,000 accounts wait.

Each account has the same number of jobs waiting. A choice fills a few free threads; its jobs are
claimed and finished before the next one. The time is that of the choice alone. What is judged is
the median among the most accounts, and how many jobs one account gets before each has had one.

`python -m benchmarks accounts fairness` also measures what a quiet account notices of the others.
"""

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import Any
from uuid import UUID

import psycopg

from benchmarks.backlog import EMPTY, fill
from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress, share
from benchmarks.stage import Stage, stage
from benchmarks.steps import CHOOSE, TEXT, steps
from tests.support.database.rows import add_account, add_feature, two_tiers

TARGET_MS = 20.0
TARGET_MOST = 2.0  # jobs of one account by the time that each has had one
FREE = 4  # threads; Dispatch adds the same again, to wait in the broker
WIDE = 256  # free threads while only fairness is looked at, or half as many as accounts
SIZES = "100,1000,5000"
OWNERS = "SELECT id, account_id FROM jobs WHERE id = ANY(%s)"


@dataclass(frozen=True)
class Chosen:
    """What the choices among so many accounts came to."""

    ms: list[float]  # of a choice, sorted
    jobs: int  # that were chosen in these
    most: int  # jobs that one account got by the time that each had got one


def measure(on: Stage, accounts: int, waiting: int, choices: int) -> Chosen:
    """Choices for a few threads, and then a whole turn for many."""
    with psycopg.connect(on.database_url, autocommit=True) as connection:
        connection.execute(EMPTY)
        connection.execute("TRUNCATE queue_turns")
        version = add_feature(connection, two_tiers(f"echo-{accounts}"))
        names = (f"of-{accounts}-{number}" for number in range(accounts))
        ids = [add_account(connection, name) for name in names]
        fill(connection, ids, version, accounts * waiting, text=TEXT)
        connection.execute("VACUUM ANALYZE jobs")
        with steps(on.database_url, version) as taken:

            def choose(threads: int) -> list[UUID]:
                chosen = taken.choose(threads)
                if not chosen:
                    raise SystemExit("jobs wait, and none is chosen")
                for one in chosen:
                    taken.finish(taken.claim(one))
                return chosen

            for _ in range(3):
                choose(FREE)  # warms up
            taken.take()
            jobs = sum(len(choose(FREE)) for _ in range(choices))
            ms = [took_s * 1000 for took_s in taken.take()[CHOOSE]]
            return Chosen(ms, jobs, _whole_turn(connection, choose, accounts, accounts * waiting))


def _whole_turn(
    connection: psycopg.Connection[Any], choose: Any, accounts: int, waiting: int
) -> int:
    """The most jobs of one account when each has had one."""
    got: Counter[int] = Counter()
    while len(got) < accounts:
        if got.total() > waiting // 2:
            raise SystemExit(f"{accounts - len(got)} of {accounts} accounts never got a turn")
        owners = dict(connection.execute(OWNERS, (choose(min(WIDE, accounts // 2)),)).fetchall())
        got.update(owners.values())
    return max(got.values())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accounts", description=__doc__)
    parser.add_argument("--sizes", default=SIZES, help="how many accounts wait: 100,1000,5000")
    parser.add_argument("--waiting", type=int, default=8, help="jobs of each account")
    parser.add_argument("--choices", type=int, default=50, help="for a few threads each")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = read_arguments(parser, {"choices": 10, "rounds": 1})
    choices: dict[int, list[Chosen]] = {int(size): [] for size in arguments.sizes.split(",")}
    with stage() as on:
        for number in range(arguments.rounds):
            for size, seen in choices.items():
                seen.append(measure(on, size, arguments.waiting, arguments.choices))
                progress(
                    f"round {number + 1}: among {size:,} accounts a choice of"
                    f" {seen[-1].jobs / arguments.choices:.1f} jobs takes"
                    f" {median(seen[-1].ms):.1f} ms, p99 {share(seen[-1].ms, 0.99):.1f} ms"
                )
    return hand_over(_figures(choices), as_json=arguments.json)


def _figures(choices: dict[int, list[Chosen]]) -> list[Figure]:
    figures = []
    fewest, most = min(choices), max(choices)
    for size, seen in choices.items():
        middle = [median(one.ms) for one in seen]
        ratios = [
            median(one.ms) / median(few.ms) for one, few in zip(seen, choices[fewest], strict=True)
        ]
        jobs = median(one.jobs / len(one.ms) for one in seen)
        figures += [
            Figure(
                f"a choice among {size:,} waiting accounts",
                *(median(middle), "ms", TARGET_MS if size == most else None),
                at_most=True,
                low=min(middle),
                high=max(middle),
            ),
            Figure(f"  / among {fewest:,}", median(ratios), "", low=min(ratios), high=max(ratios)),
            Figure("  p99", median(share(one.ms, 0.99) for one in seen), "ms"),
            Figure("  jobs in a choice", jobs, ""),
            Figure(
                f"  jobs of one of {size:,} accounts when each has had one",
                *(max(one.most for one in seen), "", TARGET_MOST),
                at_most=True,
            ),
        ]
    return figures


if __name__ == "__main__":
    sys.exit(main())
