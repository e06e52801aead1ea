"""What the embeddings of new inputs tell: are they like nothing known, like each other, or only
otherwise mixed.

Each number is by half of the reference: of the new inputs, beside the same number of the other
half's inputs, which are like new ones as long as nothing changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tierline.base.vectors import Vectors

NEAREST = 5  # neighbours whose likeness counts

Beside = list[tuple[Any, Any]]  # by half: of the new inputs, of the other half's


@dataclass(frozen=True)
class Half:
    """One half of the reference, that inputs are held against."""

    vectors: Vectors
    other: Vectors  # the other half's inputs

    @cached_property
    def likeness(self) -> Any:
        """Of the other half's inputs to this one."""
        return nearest(self.other @ self.vectors.T)

    @cached_property
    def width(self) -> float:
        """Of the kernel: the median of the squared distances between the halves."""
        import numpy as np

        return max(1e-6, float(np.median(2.0 - 2.0 * (self.other @ self.vectors.T))))

    @cached_property
    def usual(self) -> Any:
        """How usual this half holds the other's inputs to be."""
        return self.kernel(self.other, self.vectors)

    def kernel(self, vectors: Vectors, examples: Vectors) -> Any:
        """By row, the mean of a Gaussian kernel to the examples."""
        import numpy as np

        return np.exp((2.0 * (vectors @ examples.T) - 2.0) / self.width).mean(axis=1)


def nearest(cosines: Any) -> Any:
    """By row, the mean of the NEAREST cosines."""
    import numpy as np

    count = min(NEAREST, cosines.shape[1])
    return np.partition(cosines, -count, axis=1)[:, -count:].mean(axis=1)


def novelty(halves: Sequence[Half], new: Vectors) -> Beside:
    """How unlike the half they are."""
    if not len(new):
        return []
    return [(-nearest(new @ half.vectors.T), -half.likeness) for half in halves]


def crowding(halves: Sequence[Half], earlier: Vectors, new: Vectors) -> Beside:
    """How much more like earlier live inputs than like known ones they are: a new kind that comes
    again and again is like itself.
    """
    if len(earlier) < NEAREST or not len(new):
        return []
    lately = nearest(new @ earlier.T)
    return [
        (
            lately - nearest(new @ half.vectors.T),
            nearest(half.other @ earlier.T) - half.likeness,
        )
        for half in halves
    ]


def mixture(halves: Sequence[Half], earlier: Vectors, new: Vectors) -> Beside:
    """How much more usual they are among earlier live inputs than among known ones: the witness
    function of the maximum mean discrepancy, learned from what was before (Gretton et al. 2012;
    as a bet: Shekhar and Ramdas 2023). It tells known kinds that come more often than they did.
    """
    if len(earlier) < NEAREST or not len(new):
        return []
    return [
        (
            half.kernel(new, earlier) - half.kernel(new, half.vectors),
            half.kernel(half.other, earlier) - half.usual,
        )
        for half in halves
    ]
