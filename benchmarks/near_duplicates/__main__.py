"""`python -m benchmarks.near_duplicates`: groups of near duplicates among 100,000 texts.

Texts of a dozen to two dozen words, a tenth of which are another one with a word more. The
yardstick is datasketch's own index of the same hashes, which finds candidates and compares none of
them, on a tenth of the texts.
"""

import argparse
import random
import resource
import sys
import time

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from tierline.datasets.near_duplicates import ALIKE, PERMUTATIONS, SHINGLE, groups

WORDS = (
    *("account", "card", "fee", "limit", "refund", "transfer", "charge", "invoice", "pending"),
    *("order", "street", "city", "today", "still", "money", "balance", "euros", "please", "help"),
    *("cannot", "why", "where", "when", "declined", "arrived", "payment", "changed", "number"),
)
TARGET_S, TARGET_GB = 60.0, 2.0


def texts(count: int) -> list[str]:
    draw = random.Random(7)
    made = [
        f"{' '.join(draw.choices(WORDS, k=draw.randrange(12, 24)))} {draw.randrange(10**9)}"
        for _ in range(count)
    ]
    for place in range(1, count, 10):
        made[place] = f"{made[place - 1]} thanks"
    return made


def yardstick_s(some: list[str]) -> float:
    from datasketch import MinHash, MinHashLSH

    began = time.perf_counter()
    index = MinHashLSH(threshold=ALIKE, num_perm=PERMUTATIONS)
    for place, text in enumerate(some):
        hashed = MinHash(num_perm=PERMUTATIONS)
        hashed.update_batch(
            {text[start : start + SHINGLE].encode() for start in range(len(text) - SHINGLE + 1)}
        )
        index.query(hashed)
        index.insert(place, hashed)
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.near_duplicates", description=__doc__
    )
    arguments = read_arguments(parser, {})
    count = 10_000 if arguments.short else 100_000
    made = texts(count)
    progress(f"grouping {count:,} texts")
    began = time.perf_counter()
    group_of = groups(made)
    took_s = time.perf_counter() - began
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    alike = sum(group_of[place] == group_of[place - 1] for place in range(1, count, 10))
    progress("the yardstick")
    some = made[: count // 10]
    bare_s = yardstick_s(some)
    figures = [
        Figure(f"near duplicates among {count:,} texts", took_s, "s", TARGET_S, at_most=True),
        Figure("  most memory of the process", gigabytes, "GB", TARGET_GB, at_most=True),
        Figure("  of those with a word more, found", 100 * alike / len(range(1, count, 10)), "%"),
        Figure("  / datasketch's index, a text", took_s / count / (bare_s / len(some)), ""),
    ]
    return hand_over(figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
