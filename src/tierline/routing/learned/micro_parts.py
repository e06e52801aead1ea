"""A micro model as it is stored: JSON for its labels and its trust, bytes for its numbers."""

import io
from collections.abc import Mapping
from typing import Any

from tierline.base.json_text import JSON
from tierline.base.vectors import DIMENSIONS
from tierline.routing.learned.arrays import read_arrays
from tierline.routing.learned.micro import Head, Micro
from tierline.routing.thresholds.combination import Combination

MOST_LABELS = 1_000
MOST_BYTES = 6 * 1024 * 1024  # fits into a request's body as base64
MOST_UNPACKED = (
    16 * 1024 * 1024
)  # the limit when unpacked: 1,000 labels and 4,000 examples are 8 MB
ARRAYS = ("weights", "biases", "examples", "example_labels")


def to_parts(micro: Micro) -> tuple[dict[str, JSON], bytes]:
    """JSON, and numpy's own compressed format with the examples at half precision."""
    import numpy as np

    packed = io.BytesIO()
    np.savez_compressed(
        packed,
        weights=micro.head.weights.astype(np.float32),
        biases=micro.head.biases.astype(np.float32),
        examples=micro.head.examples.astype(np.float16),
        example_labels=np.array(micro.head.example_labels, dtype=np.int32),
    )
    document = {
        "labels": list(micro.head.labels),
        "trust": micro.trust.to_dict(),
        "least_likeness": micro.least_likeness,
    }
    return document, packed.getvalue()


def from_parts(document: Mapping[str, Any], packed: bytes | None) -> Micro:
    """The inverse of `to_parts`. Raises ValueError for anything else, ImportError without numpy."""
    if packed is None or len(packed) > MOST_BYTES:
        raise ValueError(f"not a micro model: its numbers must be given, in {MOST_BYTES:,} bytes")
    import numpy as np

    try:
        labels = tuple(str(label) for label in document["labels"])
        trust = Combination.from_dict(document["trust"])
        given = document.get("least_likeness")
        least = None if given is None else float(given)
        arrays = read_arrays(packed, ARRAYS, MOST_UNPACKED)
        weights = arrays["weights"].astype(np.float32)
        biases = arrays["biases"].astype(np.float32)
        examples = arrays["examples"].astype(np.float32)
        of_examples = tuple(int(one) for one in arrays["example_labels"])
    except (KeyError, TypeError, OSError, ValueError, AttributeError, EOFError) as error:
        raise ValueError(f"not a micro model: {type(error).__name__}") from None
    count = len(labels)
    if (
        not 2 <= count <= MOST_LABELS
        or len(set(labels)) != count
        or weights.shape != (count, DIMENSIONS)
        or biases.shape != (count,)
        or examples.shape != (len(of_examples), DIMENSIONS)
        or not of_examples
        or not all(0 <= one < count for one in of_examples)
        or not all(bool(np.isfinite(one).all()) for one in (weights, biases, examples))
    ):
        raise ValueError("not a micro model: its numbers have another shape")
    return Micro(Head(labels, weights, biases, examples, of_examples), trust, least)
