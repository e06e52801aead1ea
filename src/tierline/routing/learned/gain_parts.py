"""A router by gain as it is stored: JSON for its numbers, bytes for its vectors."""

import io
from collections.abc import Mapping
from typing import Any

from tierline.base.json_text import JSON
from tierline.base.vectors import DIMENSIONS
from tierline.routing.learned.arrays import read_arrays
from tierline.routing.learned.gain_router import (
    FORM,
    RANK,
    ByLength,
    GainRouter,
    Kinds,
    Linear,
    Member,
    Neighbours,
    Predictor,
    Ranks,
    StepPrice,
)
from tierline.routing.learned.gain_training import MOST_EXAMPLES
from tierline.routing.thresholds.combination import Combination

KIND = "gain"
"""The document's `kind`. A document without one is a `complexity.Complexity`."""
MOST_BYTES = 8 * 1024 * 1024
MOST_UNPACKED = 16 * 1024 * 1024  # 4,000 examples at half precision are 3 MB
MOST_PARTS = 32  # predictors, and members
MOST_RANKS = 1_000
MOST_CENTRES = 1_000
ARRAYS = ("directions", "examples", "gains", "centres", "centre_gains")


def to_parts(router: GainRouter) -> tuple[dict[str, JSON], bytes | None]:
    """JSON, and numpy's own compressed format; None without embeddings."""
    import numpy as np

    predictors: dict[str, JSON] = {}
    directions: list[Any] = []
    none = np.zeros((0, DIMENSIONS), dtype=np.float32)
    examples, gains, centres, centre_gains = none, np.zeros(0), none, np.zeros(0)
    for name, one in router.predictors.items():
        if isinstance(one, Linear):
            form = {key: float(value) for key, value in zip(FORM, one.weights, strict=True)}
            predictors[name] = {"by": "sum", "form": form, "direction": None}
            if one.direction is not None:
                predictors[name]["direction"] = len(directions)
                directions.append(one.direction)
        elif isinstance(one, Neighbours):
            predictors[name] = {"by": "neighbours", "count": one.count}
            examples, gains = one.examples, one.gains  # the same of every count
        elif isinstance(one, Kinds):
            predictors[name] = {"by": "kinds"}
            centres, centre_gains = one.centres, one.gains
        else:
            predictors[name] = {"by": "length"}
    document = {
        "kind": KIND,
        "predictors": predictors,
        "members": [
            {
                "predictor": one.predictor,
                "weighed": one.weighed,
                "times": one.times,
                "values": [float(value) for value in one.ranks.values],
                "ranks": [float(value) for value in one.ranks.ranks],
            }
            for one in router.members
        ],
        "price": None if router.price is None else dict(vars(router.price)),
        "curve": router.curve.to_dict(),
    }
    if not router.needs_vectors:
        return document, None
    packed = io.BytesIO()
    np.savez_compressed(
        packed,
        directions=np.array(directions, dtype=np.float32).reshape(-1, DIMENSIONS),
        examples=examples.astype(np.float16),
        gains=gains.astype(np.float32),
        centres=centres.astype(np.float32),
        centre_gains=centre_gains.astype(np.float32),
    )
    return document, packed.getvalue()


def from_parts(document: Mapping[str, Any], packed: bytes | None) -> GainRouter:
    """The inverse of `to_parts`. Raises ValueError for anything else, ImportError without numpy."""
    import numpy as np

    if packed is not None and len(packed) > MOST_BYTES:
        raise ValueError("not a router: its vectors are too large")
    try:
        arrays = None if packed is None else read_arrays(packed, ARRAYS, MOST_UNPACKED)
        if arrays is not None:
            arrays = {name: one.astype(np.float32) for name, one in arrays.items()}
            _refuse_shapes(arrays)
        given = document["predictors"]
        if not 1 <= len(given) <= MOST_PARTS or not 1 <= len(document["members"]) <= MOST_PARTS:
            raise ValueError("it has too many parts, or none")
        predictors = {str(name): _predictor(one, arrays) for name, one in given.items()}
        price = None
        if document["price"] is not None:
            price = StepPrice(**{name: float(one) for name, one in document["price"].items()})
        members = tuple(_member(one, predictors, price) for one in document["members"])
        curve = Combination.from_dict(document["curve"])
        if set(curve.terms) != {RANK} or (price is not None and not price.least > 0):
            raise ValueError("its numbers are those of another thing")
        router = GainRouter(predictors, members, price, curve)
    except (
        *(KeyError, TypeError, OSError, ValueError, AttributeError, IndexError, OverflowError),
    ) as error:
        raise ValueError(f"not a router: {type(error).__name__}") from None
    return router


def _refuse_shapes(arrays: Mapping[str, Any]) -> None:
    import numpy as np

    rows = {name: arrays[name].shape for name in ("directions", "examples", "centres")}
    if (
        any(len(shape) != 2 or shape[1] != DIMENSIONS for shape in rows.values())
        or arrays["gains"].shape != rows["examples"][:1]
        or arrays["centre_gains"].shape != rows["centres"][:1]
        or rows["directions"][0] > MOST_PARTS
        or rows["examples"][0] > MOST_EXAMPLES
        or rows["centres"][0] > MOST_CENTRES
        or not all(bool(np.isfinite(one).all()) for one in arrays.values())
    ):
        raise ValueError("its vectors have another shape")


def _predictor(given: Mapping[str, Any], arrays: Mapping[str, Any] | None) -> Predictor:
    """Raises ValueError, KeyError, TypeError, IndexError."""
    import numpy as np

    by = given["by"]
    if by == "length":
        return ByLength()
    if by == "sum":
        weights = np.array([float(given["form"][name]) for name in FORM])
        place = given["direction"]
        if not np.isfinite(weights).all():
            raise ValueError("a weight is no number")
        if place is None:
            return Linear(weights, None)
        if arrays is None or not 0 <= place < len(arrays["directions"]):
            raise ValueError("its direction is missing")
        return Linear(weights, arrays["directions"][place])
    if arrays is None:
        raise ValueError("its vectors are missing")
    if by == "neighbours":
        count = int(given["count"])
        if count < 1 or not len(arrays["examples"]):
            raise ValueError("it has no examples")
        return Neighbours(count, arrays["examples"], arrays["gains"])
    if by == "kinds" and len(arrays["centres"]):
        return Kinds(arrays["centres"], arrays["centre_gains"])
    raise ValueError("an unknown predictor")


def _member(
    given: Mapping[str, Any], predictors: Mapping[str, Predictor], price: StepPrice | None
) -> Member:
    """Raises ValueError, KeyError, TypeError."""
    import numpy as np

    values = np.array([float(one) for one in given["values"]])
    ranks = np.array([float(one) for one in given["ranks"]])
    name, weighed, times = str(given["predictor"]), bool(given["weighed"]), int(given["times"])
    if (
        name not in predictors
        or (weighed and price is None)
        or times < 1
        or not 1 <= len(values) <= MOST_RANKS
        or len(values) != len(ranks)
        or not (np.isfinite(values).all() and np.isfinite(ranks).all())
        or bool((np.diff(values) <= 0).any())
    ):
        raise ValueError("a member is of another thing")
    return Member(name, weighed, times, Ranks(values, ranks))
