"""Scores of a small and a large model on the same examples."""

import numpy as np


def pairs(
    draw: np.random.Generator, n: int, ratio: float, large: float = 0.92, extra: float = 0.02
) -> tuple[list[float], list[float]]:
    """Right or wrong of both; `extra`: how often the small one alone is right."""
    right = draw.random(n) < large
    lost = 1.0 - ratio + extra / large  # of what the large one has right
    small = np.where(right, draw.random(n) >= lost, draw.random(n) < extra / (1.0 - large))
    return small.astype(float).tolist(), right.astype(float).tolist()
