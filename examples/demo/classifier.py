"""The classifier of ticket-triage: trained when the demo begins, from examples/labelled.

The commands are those that a user types. The promise is tested on rows of the labelled set that the
classifier did not learn from; no scored input is among them.
"""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.demo.product import TIERLINE, Product, ProductFailed

FEATURE = "ticket-triage"
LABELLED = Path(__file__).parents[1] / "labelled" / "tickets.jsonl"
TRAIN_S = 300.0  # for one command; it takes ten seconds on an idle machine
MAX_ERROR = "0.05"
# The labelled set has every kind of ticket that the feature knows, "other" included.
UNSEEN_KINDS = "0"


@dataclass(frozen=True)
class PromiseMade:
    """What the classifier may answer, as its calibration says."""

    max_error: float
    confidence: float
    tested: int  # labelled tickets that it did not learn from
    served: int  # of those, at the threshold; 0 where no threshold keeps the promise
    wrong: int  # of those

    @property
    def words(self) -> str:
        promise = f"at most {self.max_error:.0%} of what it serves is wrong"
        sure = f"at {self.confidence:.0%} confidence"
        if not self.served:
            return f"no threshold keeps '{promise}' {sure}, so it serves nothing"
        return (
            f"{promise}, {sure}. Of {self.tested} labelled tickets that it did not learn from it "
            f"would serve {self.served}, {self.wrong} of them wrong"
        )


def train(product: Product, say: Callable[[str], None]) -> PromiseMade:
    """Train it, unless this home has one that answers. Raises ProductFailed."""
    promise_made = _promise(product)
    if promise_made is not None:
        return promise_made
    path = str(LABELLED)
    _run(product, "dataset", "build", FEATURE, "--no-jobs", "--from", path)
    say(f"training a classifier for {FEATURE} on {LABELLED.relative_to(LABELLED.parents[2])}")
    promise = ("--max-error", MAX_ERROR, "--strangers", UNSEEN_KINDS)
    _run(product, "micro", "train", FEATURE, "--dataset", "newest", *promise)
    promise_made = _promise(product)
    if promise_made is None:
        raise ProductFailed(f"the classifier of {FEATURE} made no promise")
    return promise_made


def _promise(product: Product) -> PromiseMade | None:
    made: list[dict[str, Any]] = product.get(f"/v1/features/{FEATURE}/calibrations")["data"]
    for one in made:
        if one["tier"] == "micro" and one["state"] in ("in_force", "nothing_promised"):
            return PromiseMade(
                *(one["max_error"], one["confidence"], one["samples"]),
                served=one["served"] or 0,
                wrong=one["errors"] or 0,
            )
    return None


def _run(product: Product, *words: str) -> None:
    argv = [*TIERLINE, *words, "--home", str(product.home)]
    ran = subprocess.run(
        argv, env=product.env, capture_output=True, text=True, timeout=TRAIN_S, check=False
    )
    if ran.returncode != 0:
        raise ProductFailed(f"tierline {' '.join(words)}: {ran.stderr.strip()[-500:]}")
