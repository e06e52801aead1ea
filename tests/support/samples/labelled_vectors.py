"""Vectors in the place of texts' embeddings, around a centre for each label."""

import numpy as np

from tierline.base.vectors import Vectors

LABELS = [f"label-{number}" for number in range(12)]


def texts(
    labels: list[str], each: int, seed: int, spread: float = 0.13
) -> tuple[Vectors, list[str]]:
    """Unit vectors around a centre for each label; the centres are the same for every seed."""
    centres = np.random.default_rng(0).normal(size=(len(LABELS), 32))
    draw = np.random.default_rng(seed)
    rows, drawn = [], []
    for label in labels:
        centre = centres[LABELS.index(label)] / np.linalg.norm(centres[LABELS.index(label)])
        for vector in centre + draw.normal(scale=spread, size=(each, 32)):
            rows.append(vector / np.linalg.norm(vector))
            drawn.append(label)
    order = draw.permutation(len(rows))
    return np.array(rows, dtype=np.float32)[order], [drawn[index] for index in order]
