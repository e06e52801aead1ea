"""Whether an input is of a known kind, by the embeddings of its nearest known inputs.

A promise holds for inputs like those that it was made from. An input that is farther from them than
nearly all of them are from each other is novel, and the promise does not serve it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from tierline.base.vectors import Vectors

NEAREST = 5  # neighbours whose likeness counts
NOVEL_SHARE = 0.01  # the share of known inputs that would count as novel
FEWEST = 50  # known inputs; with fewer, one per cent cannot be estimated
MOST_EXAMPLES = 1_000  # stored for comparison: 0.8 kB each


def likeness(vectors: Vectors, examples: Vectors) -> Any:
    """For each row, the mean cosine to the NEAREST examples; an array of floats, -1 to 1."""
    import numpy as np

    cosines = vectors @ examples.T
    count = min(NEAREST, cosines.shape[1])
    return np.sort(cosines, axis=1)[:, -count:].mean(axis=1)


def least_of(likenesses: Sequence[float]) -> float | None:
    """The likeness below which an input is novel, from the likenesses of known inputs to each
    other. None if there are too few to say.
    """
    if len(likenesses) < FEWEST:
        return None
    ordered = sorted(float(one) for one in likenesses)
    return ordered[int(NOVEL_SHARE * len(ordered))]


@dataclass(frozen=True)
class KnownInputs:
    """Inputs that a promise was made from, and the least likeness to them."""

    examples: Vectors  # one per row, of length 1
    least: float

    def likeness(self, vectors: Vectors) -> list[float]:
        """The likeness of each row to the examples."""
        return [float(one) for one in likeness(vectors, self.examples)]


def known_from(vectors: Vectors) -> KnownInputs | None:
    """The known inputs, with the least likeness from how similar they are to each other. None if
    there are too few.
    """
    examples = vectors[:MOST_EXAMPLES]
    if len(examples) < FEWEST:
        return None
    import numpy as np

    cosines = examples @ examples.T
    np.fill_diagonal(cosines, -1.0)  # an input is not its own neighbour
    least = least_of(np.sort(cosines, axis=1)[:, -NEAREST:].mean(axis=1))
    return None if least is None else KnownInputs(examples, least)


def packed(vectors: Vectors) -> bytes:
    """Unit vectors as they are stored: half-precision floats, one after the other."""
    import numpy as np

    return vectors.astype(np.float16).tobytes()


def unpacked(kept: bytes, dimensions: int) -> Vectors:
    """The inverse of `packed`, one vector per row."""
    import numpy as np

    vectors = np.frombuffer(kept, dtype=np.float16).reshape(-1, dimensions).astype(np.float32)
    return cast(Vectors, vectors)
