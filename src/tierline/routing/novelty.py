"""Whether an input is of a kind that was seen before: by its nearest known ones, as embeddings.

A promise holds for inputs like those that it was made on. What lies further from them than nearly
all of them lie from each other is not like them, and is not served by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tierline.vectors import Vectors

NEAREST = 5  # neighbours whose likeness counts
NOVEL_SHARE = 0.01  # of known inputs, what is taken for novel
FEWEST = 50  # known inputs: of fewer, the hundredth part says nothing
MOST_EXAMPLES = 1_000  # that are kept to compare with: 0.8 kB each


def likeness(vectors: Vectors, examples: Vectors) -> Any:
    """By row, the mean cosine to the NEAREST examples; an array of floats, -1 to 1."""
    import numpy as np

    cosines = vectors @ examples.T
    count = min(NEAREST, cosines.shape[1])
    return np.sort(cosines, axis=1)[:, -count:].mean(axis=1)


def least_of(likenesses: Sequence[float]) -> float | None:
    """Below which likeness an input is novel, from those of known inputs to others; None: there
    are too few to say.
    """
    if len(likenesses) < FEWEST:
        return None
    ordered = sorted(float(one) for one in likenesses)
    return ordered[int(NOVEL_SHARE * len(ordered))]


@dataclass(frozen=True)
class Known:
    """Inputs that a promise was made from, and how far from them is too far."""

    examples: Vectors  # a row each, of length 1
    least: float

    def likeness(self, vectors: Vectors) -> list[float]:
        """Of each row to the examples."""
        return [float(one) for one in likeness(vectors, self.examples)]


def known_from(vectors: Vectors) -> Known | None:
    """From what is known: some are kept, and how near the others lie to those says what is far.
    None where there are too few for both.
    """
    examples = vectors[: min(len(vectors) // 2, MOST_EXAMPLES)]
    if not len(examples):
        return None
    least = least_of(likeness(vectors[len(examples) :], examples))
    return None if least is None else Known(examples, least)
