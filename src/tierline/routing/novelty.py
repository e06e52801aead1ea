"""Whether an input is of a kind that was seen before: by its nearest known ones, as embeddings.

A promise holds for inputs like those that it was made on. What lies further from them than nearly
all of them lie from each other is not like them, and is not served by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from tierline.base.vectors import Vectors

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
class KnownInputs:
    """Inputs that a promise was made from, and how far from them is too far."""

    examples: Vectors  # a row each, of length 1
    least: float

    def likeness(self, vectors: Vectors) -> list[float]:
        """Of each row to the examples."""
        return [float(one) for one in likeness(vectors, self.examples)]


def known_from(vectors: Vectors) -> KnownInputs | None:
    """From what is known: how near each lies to the others says what is far. None where there are
    too few to say.
    """
    examples = vectors[:MOST_EXAMPLES]
    if len(examples) < FEWEST:
        return None
    import numpy as np

    cosines = examples @ examples.T
    np.fill_diagonal(cosines, -1.0)  # nobody is like others for being like itself
    least = least_of(np.sort(cosines, axis=1)[:, -NEAREST:].mean(axis=1))
    return None if least is None else KnownInputs(examples, least)


def packed(vectors: Vectors) -> bytes:
    """Unit vectors as they are kept: half floats, one after the other."""
    import numpy as np

    return vectors.astype(np.float16).tobytes()


def unpacked(kept: bytes, dimensions: int) -> Vectors:
    """What `packed` gave, a row each."""
    import numpy as np

    found = np.frombuffer(kept, dtype=np.float16).reshape(-1, dimensions).astype(np.float32)
    return cast(Vectors, found)
