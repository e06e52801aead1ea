"""`python -m benchmarks`, which `make bench` runs: every benchmark in turn, and one table.

Each runs in a process of its own, so that none finds what another left. A benchmark that is named
alone takes its own options too: `python -m benchmarks throughput --peers`. Exit code 0 when every
target is reached, 1 when one is not, 2 when a benchmark did not run to its end.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.command import read_some_arguments
from benchmarks.figures import BROKEN, MISSED, REACHED, Figure, exit_code, progress, table

NAMES = (
    "latency",
    "throughput",
    "fairness",
    "submit",
    "openai_door",
    "ingest",
    "memory",
    "trace",
    "calls",
    "prices",
    "budgets",
    "report",
    "size",
    "snapshot",
    "accounts",
    "decision",
    "embedding",
    "micro",
    "distil",
    "bank",
    "near_duplicates",
    "replay",
    "drift",
    "search",
    "recommended",
    "evaluation",
    "router",
    "confidence",
    "ready",
    "client",
)
LONG = ("size",)  # in its short form unless it is named: ten million rows take half an hour
ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; or all")
    arguments, options = read_some_arguments(parser)
    for name in arguments.names:
        if name not in NAMES:
            parser.error(f"there is no benchmark {name!r}: choose from {', '.join(NAMES)}")
    names = arguments.names or NAMES
    if options and len(names) != 1:
        parser.error(f"{options[0]} is an option of one benchmark: name that one alone")
    long = () if arguments.names else LONG
    by_name: dict[str, list[Figure] | None] = {}
    for number, name in enumerate(names, 1):
        progress(f"[{number}/{len(names)}] {name}")
        by_name[name] = run(name, options, short=arguments.short or name in long)
    figures = [figure for each in by_name.values() for figure in each or ()]
    broken = [name for name, each in by_name.items() if each is None]
    missed = [figure.what for figure in figures if figure.reached is False]
    if arguments.json:
        shown = {
            name: None if each is None else [figure.to_dict() for figure in each]
            for name, each in by_name.items()
        }
        print(json.dumps(shown))
    else:
        print(table(figures))
    if missed:
        progress(f"not reached: {'; '.join(missed)}")
    if broken:
        progress(f"did not run to the end: {', '.join(broken)}")
        return BROKEN
    return exit_code(figures)


def run(name: str, more: Sequence[str], *, short: bool) -> list[Figure] | None:
    """One benchmark's figures; None when it did not run to its end. `more`: its own options."""
    options = ["--json", *(["--short"] if short else []), *more]
    child = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{name}", *options], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        output, _ = child.communicate()
    except KeyboardInterrupt:
        child.terminate()  # it stops what it has started; Ctrl-C has reached it already
        child.wait()
        raise
    if child.returncode not in (REACHED, MISSED) or not output:
        return None
    return [Figure.from_dict(figure) for figure in json.loads(output)]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
