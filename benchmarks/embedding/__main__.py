"""`python -m benchmarks.embedding`: how long a sentence embedding takes, by length of the text.

One text at a time, as a job's comes, on one thread; then the same with several threads at work at
once, as in a worker. The yardstick is the bare model: ONNX Runtime on tokens that are ready,
without the tokenizer and the mean over tokens.
"""

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median, quantiles
from typing import Any

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from tierline.base.embeddings import Embedder

TARGET_MS = 5.0  # of 16 tokens, p50
LENGTHS = (16, 64, 128, 256)  # tokens, the two at the ends included
AT_ONCE = 4


def text_of(tokens: int) -> str:
    """A text of exactly so many tokens: `card` is one."""
    return " ".join(["card"] * (tokens - 2))


def timed(once: Callable[[], Any], times: int) -> list[float]:
    """Milliseconds of each; the first few, which warm up, are left out."""
    times_ms = []
    for number in range(times + 5):
        began = time.perf_counter()
        once()
        if number >= 5:
            times_ms.append((time.perf_counter() - began) * 1e3)
    return times_ms


def bare(embedder: Embedder, tokens: int) -> Callable[[], Any]:
    import numpy as np

    ids = np.ones((1, tokens), dtype=np.int64)
    inputs = {"input_ids": ids, "attention_mask": ids, "token_type_ids": np.zeros_like(ids)}
    return lambda: embedder._session.run(None, inputs)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embedding", description=__doc__)
    arguments = read_arguments(parser, {})
    times = 30 if arguments.short else 300
    embedder = Embedder()
    figures = []
    for tokens in LENGTHS:
        text = text_of(tokens)
        progress(f"{tokens} tokens")
        mine = timed(lambda text=text: embedder.embed([text]), times)  # type: ignore[misc]
        yardstick = timed(bare(embedder, tokens), times)
        tenths = quantiles(mine, n=10)
        target = (TARGET_MS,) if tokens == 16 else ()
        figures += [
            Figure(
                f"an embedding of {tokens} tokens, p50",
                *(median(mine), "ms", *target),
                at_most=True,
                low=tenths[0],
                high=tenths[-1],
            ),
            Figure("  / the bare model", median(mine) / median(yardstick), ""),
        ]
    progress(f"{AT_ONCE} at once")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        text = text_of(16)
        each = list(
            pool.map(lambda _: timed(lambda: embedder.embed([text]), times), range(AT_ONCE))
        )
    figures.append(
        Figure(
            f"an embedding of 16 tokens, {AT_ONCE} at once, p50",
            median([one for some in each for one in some]),
            "ms",
        )
    )
    return hand_over(figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
