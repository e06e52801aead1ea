"""A trained router as what is kept of it: numbers for its score, and bytes for its embeddings.

Scoring by text signals needs no library; with embeddings it needs numpy and the model.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tierline.base.json_text import JSON
from tierline.base.vectors import DIMENSIONS
from tierline.routing.arrays import read_arrays
from tierline.routing.combination import Combination
from tierline.routing.complexity import Complexity, Meaning, text_signals

MOST_BYTES = 16 * 1024 * 1024  # of embeddings: some 4,000 examples and what is around them
MOST_UNPACKED = 32 * 1024 * 1024  # bytes that they may become: packing saves a tenth


@dataclass(frozen=True)
class Prediction:
    """What is expected of the first tier before it is asked."""

    risk: float  # 0..1: the chance that it fails
    signals: Mapping[str, float]
    by: str  # "router 3", or "rules" at a cold start


def by_rules(text: str, longest: int | None) -> Prediction:
    """The transparent rule of a cold start: a text that is longer than the feature says is too
    much for the first tier, and nothing else is.
    """
    too_long = longest is not None and len(text) > longest
    return Prediction(float(too_long), {"characters": float(len(text))}, "rules")


def predict(router: Complexity, text: str, vector: Any, by: str) -> Prediction:
    """What a trained router says of one text. `vector`: its embedding as one row; None: there is
    none, as for a router that was trained without.
    """
    seen: dict[str, float] = text_signals(text)
    if router.meaning is not None:
        seen |= router.meaning.signals(vector)[0]
    return Prediction(1.0 - router.combined.score(seen), seen, by)


def again(combination: Combination, signals: Mapping[str, float]) -> float:
    """The risk of a kept prediction, from its signals."""
    return 1.0 - combination.score(signals)


def to_parts(router: Complexity) -> tuple[dict[str, JSON], bytes | None]:
    """What is kept of a router: JSON, and its embeddings as numpy's own format, compressed."""
    if router.meaning is None:
        return router.combined.to_dict(), None
    import numpy as np

    packed = io.BytesIO()
    np.savez_compressed(
        packed,
        direction=router.meaning.direction.astype(np.float32),
        examples=router.meaning.examples.astype(np.float16),
        right=router.meaning.right.astype(np.float32),
    )
    return router.combined.to_dict(), packed.getvalue()


def from_parts(document: Mapping[str, Any], packed: bytes | None) -> Complexity:
    """What `to_parts` gave. Raises ValueError for what is none."""
    try:
        combined = Combination.from_dict(document)
        if packed is None:
            return Complexity(combined)
        import numpy as np

        if len(packed) > MOST_BYTES:
            raise ValueError("its embeddings are too large")
        found = read_arrays(packed, ("direction", "examples", "right"), MOST_UNPACKED)
        meaning = Meaning(
            found["direction"].astype(np.float32),
            found["examples"].astype(np.float32),
            found["right"].astype(np.float32),
        )
    except (KeyError, TypeError, OSError, ValueError, AttributeError) as error:
        raise ValueError(f"not a router: {type(error).__name__}") from None
    rows = meaning.examples.shape
    if (
        meaning.direction.shape != (DIMENSIONS,)
        or len(rows) != 2
        or rows[1] != DIMENSIONS
        or meaning.right.shape != (rows[0],)
        or not rows[0]
    ):
        raise ValueError("not a router: its embeddings have another shape")
    return Complexity(combined, meaning)


def quality(right: Sequence[bool], scores: Sequence[float]) -> dict[str, float]:
    """How well cross-fitted scores tell right from wrong: AUROC, and the Brier score of their
    chances, lower is better, beside that of always saying the mean.
    """
    from sklearn.metrics import brier_score_loss, roc_auc_score

    mean = sum(right) / len(right)
    return {
        "auroc": float(roc_auc_score(right, scores)),
        "brier": float(brier_score_loss(right, scores)),
        "brier_of_the_mean": mean * (1.0 - mean),
    }
