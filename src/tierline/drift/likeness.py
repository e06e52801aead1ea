"""Numbers from the embeddings of new inputs: whether they are unlike all known ones, like each
other, or a different mixture of known ones.

Each number exists for each half of the reference: for the new inputs, and for the inputs of the
other half, which are like new ones as long as nothing changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tierline.base.vectors import Vectors

NEAREST = 5  # number of neighbours that count

ByHalf = list[tuple[Any, Any]]  # by half: for the new inputs, for the other half's


@dataclass(frozen=True)
class Half:
    """One half of the reference, which inputs are compared with."""

    vectors: Vectors
    other: Vectors  # the inputs of the other half

    @cached_property
    def likeness(self) -> Any:
        """The similarity of the other half's inputs to this half's."""
        return nearest(self.other @ self.vectors.T)

    @cached_property
    def width(self) -> float:
        """The kernel's width: the median of the squared distances between the halves."""
        import numpy as np

        return max(1e-6, float(np.median(2.0 - 2.0 * (self.other @ self.vectors.T))))

    @cached_property
    def usual(self) -> Any:
        """The density of the other half's inputs under this half."""
        return self.kernel(self.other, self.vectors)

    def kernel(self, vectors: Vectors, examples: Vectors) -> Any:
        """Per row, the mean of a Gaussian kernel to the examples."""
        import numpy as np

        return np.exp((2.0 * (vectors @ examples.T) - 2.0) / self.width).mean(axis=1)


def nearest(cosines: Any) -> Any:
    """Per row, the mean of the NEAREST cosines."""
    import numpy as np

    count = min(NEAREST, cosines.shape[1])
    return np.partition(cosines, -count, axis=1)[:, -count:].mean(axis=1)


def crowding(halves: Sequence[Half], earlier: Vectors, new: Vectors) -> ByHalf:
    """How much more they are like earlier live inputs than like known ones. A new kind of input
    that keeps coming is like itself.
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


def mixture(halves: Sequence[Half], earlier: Vectors, new: Vectors) -> ByHalf:
    """How much denser they are among earlier live inputs than among known ones: the witness
    function of the maximum mean discrepancy, learned from earlier inputs (Gretton et al. 2012; as a
    bet: Shekhar and Ramdas 2023). It detects known kinds that come more often than before.
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
