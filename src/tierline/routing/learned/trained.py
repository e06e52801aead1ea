"""A trained router as it is stored: numbers for its score, and bytes for its embeddings.

A document with a `kind` is a router by gain. One without is what 0.2 trained, a `Complexity`, which
is still used. Scoring needs numpy, and the embedding model if it looks at embeddings.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tierline.base.json_text import JSON
from tierline.base.vectors import DIMENSIONS
from tierline.routing.learned import gain_parts
from tierline.routing.learned.arrays import read_arrays
from tierline.routing.learned.complexity import Complexity, Meaning, text_signals
from tierline.routing.learned.gain_router import GainRouter
from tierline.routing.thresholds.combination import Combination

MOST_BYTES = 16 * 1024 * 1024  # of embeddings: about 4,000 examples with their overhead
MOST_UNPACKED = 32 * 1024 * 1024  # the limit when unpacked; packing saves about a tenth

Router = Complexity | GainRouter


@dataclass(frozen=True)
class Prediction:
    """The expected result of the first tier before it is called."""

    risk: float  # 0..1: the probability that it fails
    signals: Mapping[str, float]
    by: str  # "router 3", or "rules" while there is no router


def by_rules(text: str, longest: int | None) -> Prediction:
    """The rule without a trained router: a text longer than the feature allows is too complex for
    the first tier, and any other text is not.
    """
    too_long = longest is not None and len(text) > longest
    return Prediction(float(too_long), {"characters": float(len(text))}, "rules")


def needs_vectors(router: Router) -> bool:
    """Whether it looks at the embedding of a text."""
    if isinstance(router, GainRouter):
        return router.needs_vectors
    return router.meaning is not None


def predict(router: Router, text: str, vector: Any, by: str) -> Prediction:
    """A trained router's prediction for one text. `vector` is its embedding as one row; None for a
    router that was trained without embeddings.
    """
    if isinstance(router, GainRouter):
        gained = router.signals(text, vector)
        return Prediction(router.risk(gained), gained, by)
    seen: dict[str, float] = text_signals(text)
    if router.meaning is not None:
        seen |= router.meaning.signals(vector)[0]
    return Prediction(1.0 - router.combined.score(seen), seen, by)


def again(router: Router, signals: Mapping[str, float]) -> float:
    """The risk of a stored prediction, from its signals."""
    if isinstance(router, GainRouter):
        return router.risk(signals)
    return 1.0 - router.combined.score(signals)


def to_parts(router: Router) -> tuple[dict[str, JSON], bytes | None]:
    """A router as it is stored: JSON, and its embeddings in numpy's own compressed format."""
    if isinstance(router, GainRouter):
        return gain_parts.to_parts(router)
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


def from_parts(document: Mapping[str, Any], packed: bytes | None) -> Router:
    """The inverse of `to_parts`. Raises ValueError for anything else."""
    if isinstance(document, Mapping) and document.get("kind") == gain_parts.KIND:
        return gain_parts.from_parts(document, packed)
    try:
        combined = Combination.from_dict(document)
        if packed is None:
            return Complexity(combined)
        import numpy as np

        if len(packed) > MOST_BYTES:
            raise ValueError("its embeddings are too large")
        arrays = read_arrays(packed, ("direction", "examples", "right"), MOST_UNPACKED)
        meaning = Meaning(
            arrays["direction"].astype(np.float32),
            arrays["examples"].astype(np.float32),
            arrays["right"].astype(np.float32),
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


def quality(
    right: Sequence[bool], scores: Sequence[float], weights: Sequence[float] | None = None
) -> dict[str, float]:
    """How well cross-fitted scores separate right from wrong: the AUROC, and the Brier score of the
    probabilities (lower is better), beside that of always predicting the mean. `weights` says how
    many inputs each row stands for; None: 1 each.
    """
    from sklearn.metrics import brier_score_loss, roc_auc_score

    weighed = weights or [1.0] * len(right)
    mean = sum(one for one, good in zip(weighed, right, strict=True) if good) / sum(weighed)
    return {
        "auroc": float(roc_auc_score(right, scores, sample_weight=weighed)),
        "brier": float(brier_score_loss(right, scores, sample_weight=weighed)),
        "brier_of_the_mean": mean * (1.0 - mean),
    }
