"""`python -m benchmarks.throughput`: the product and two yardsticks in turn, and their ratios.

Each side finds its whole backlog waiting, has the same number of threads over the same number of
processes, the same Postgres, broker and model server, and is measured over the same window after
its workers are warm. No side can have more calls in flight than it has threads.

The product's backlog belongs to four accounts: it keeps the last eighth of a queue's threads from
any one account, so that one alone would never have all of them at work.

With --peers six other job systems run the same job too, and so does the product's backfill lane.
`make peers` installs them.
"""

import argparse
import sys
from collections.abc import Mapping

from benchmarks.command import read_arguments
from benchmarks.figures import BROKEN, hand_over, progress
from benchmarks.stage import model_server, stage
from benchmarks.throughput.counters import PRELOAD
from benchmarks.throughput.report import figures, window_line
from benchmarks.throughput.sides import SIDES, WITH_PEERS, peers_missing
from benchmarks.throughput.window import WARM, Load, Window, measure

SHORT = {"rounds": 2, "window_s": 4.0, "jobs": 10_000}
SHORT_PEERS = {"rounds": 1, "window_s": 2.5, "jobs": 5_000, "warm": 200}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--window-s", type=float, default=10.0)
    parser.add_argument("--warm", type=int, default=WARM, help="jobs done before the window")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--peers", action="store_true", help="six other job systems beside it")
    parser.add_argument("--only", default="", help=f"some of: {'; '.join(WITH_PEERS)}")
    early = parser.parse_known_args()[0]
    arguments = read_arguments(parser, SHORT_PEERS if early.peers else SHORT)
    sides = WITH_PEERS if arguments.peers else SIDES
    if arguments.only:
        names = [name.strip() for name in arguments.only.split(";")]
        if unknown := [name for name in names if name not in WITH_PEERS]:
            parser.error(f"--only: there is no side {unknown[0]!r}; choose of {list(WITH_PEERS)}")
        sides = {name: WITH_PEERS[name] for name in names}
    if peers_missing(list(sides)):
        progress("the other job systems are not installed: run `make peers` first")
        return BROKEN
    load = Load(arguments.jobs, arguments.in_flight, arguments.window_s, arguments.warm)
    by_side: Mapping[str, list[Window]] = {side: [] for side in sides}
    with stage(PRELOAD) as on, model_server(arguments.latency_ms) as url:
        for number in range(arguments.rounds):
            for name, windows in by_side.items():
                windows.append(measure(name, sides[name], on, url, load))
                progress(f"round {number + 1}: {window_line(name, windows[-1])}")
    return hand_over(figures(by_side), as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
