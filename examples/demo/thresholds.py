"""`python -m examples.demo.thresholds [--larger 0]`: how sure the last tier must be of a category.

It runs tickets that the classifier did not learn from (the test rows of its dataset, and those of
examples/dev) through the demo's feature with a threshold of 0. Of each that the last tier answered
it records the score, and whether it was right, in examples/dev/thresholds.json, by the model's
SHA-256 and the prompt's fingerprint; a test refuses what is stale. No scored input is read here.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from examples.demo.check_server import CheckServer
from examples.demo.classifier import FEATURE, LABELLED, train
from examples.demo.product import Product, environment
from examples.demo.second_tier import LARGER, SMALL, SecondTier, feature_texts
from examples.scoring import is_right
from tierline.features.parse import parse_feature
from tierline.routing.thresholds.fingerprint import recipe
from tierline.stack.local_models.models import MODELS

DEV = Path(__file__).parents[1] / "dev"
RECORDED = DEV / "thresholds.json"
MOST_WRONG = 0.05  # of what the last tier serves
FEWEST = 10  # outcomes at a threshold; fewer say little
GRID = tuple(step / 100 for step in range(50, 100))
NOTHING = 1.0  # where no threshold of the grid is good enough
WAIT_S = 1500.0
_THRESHOLD = re.compile(r"(signal: label_logprob, threshold: )[\d.]+")


def chosen(outcomes: Sequence[Mapping[str, Any]]) -> float:
    """The lowest threshold at which at most MOST_WRONG of what is served is wrong.

    NOTHING where there is none that serves at least FEWEST.
    """
    for threshold in GRID:
        served = [one for one in outcomes if one["score"] >= threshold]
        wrong = sum(not one["right"] for one in served)
        if len(served) >= FEWEST and wrong <= MOST_WRONG * len(served):
            return threshold
    return NOTHING


def key_of(second: SecondTier) -> dict[str, str]:
    """What an outcome holds for: the model's file, and all that makes its answers but the
    threshold."""
    feature = parse_feature(untied(feature_texts(second)[FEATURE]))
    return {
        "model": second.model,
        "model_sha256": MODELS[second.model.partition(":")[2]].sha256,
        "fingerprint": recipe(feature, feature.tiers[-1]),
    }


def untied(text: str) -> str:
    """The feature's text with a threshold of 0."""
    return _THRESHOLD.sub(r"\g<1>0.0", text)


def threshold_of(second: SecondTier) -> float:
    """The threshold that the demo uses."""
    feature = parse_feature(feature_texts(second)[FEATURE])
    confidence = feature.tiers[-1].confidence
    assert confidence is not None
    assert confidence.threshold is not None
    return confidence.threshold


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="examples.demo.thresholds", description=__doc__)
    parser.add_argument("--larger", default="", help="0: for the small model")
    parser.add_argument("--home", type=Path, default=Path(".tierline-thresholds"))
    options = parser.parse_args(argv)
    small = options.larger == "0"
    second = SecondTier(SMALL, stand_in=True, why="requested") if small else SecondTier(LARGER)
    home = options.home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    checks = CheckServer()
    env = environment(None, small) | {"TIERLINE_CHECKS": checks.setting}
    product = Product(home, env, print, with_flower=False)
    try:
        product.start()
        text = untied(feature_texts(second)[FEATURE])
        yaml = {"Content-Type": "application/yaml"}
        answer = product.ask("POST", "/v1/features", content=text.encode(), headers=yaml)
        answer.raise_for_status()
        train(product, print)
        if not small:
            product.wait_for_model(second.model.partition(":")[2])
        outcomes = _outcomes(product)
    finally:
        product.stop()
        checks.close()
    _record(second, outcomes)
    print(f"{len(outcomes)} outcomes; threshold {chosen(outcomes)}")
    return 0


def _tickets(product: Product) -> list[dict[str, Any]]:
    """The development tickets, and the labelled ones that neither trained nor calibrated."""
    rows = [json.loads(line) for line in (DEV / "tickets.jsonl").read_text("utf-8").splitlines()]
    labelled = [json.loads(line) for line in LABELLED.read_text("utf-8").splitlines()]
    by_text = {row["input"]["text"]: row for row in labelled}
    page = product.get(f"/v1/features/{FEATURE}/datasets/1/rows", limit=2000)
    tests = [row for row in page["data"] if row["side"] == "test"]
    return rows + [by_text[row["input"]["text"]] for row in tests]


def _outcomes(product: Product) -> list[dict[str, Any]]:
    waiting = {}
    for row in _tickets(product):
        body = {"feature": FEATURE, "input": row["input"]}
        waiting[product.ask("POST", "/v1/jobs", body).json()["id"]] = row
    outcomes = []
    deadline = time.monotonic() + WAIT_S
    while waiting and time.monotonic() < deadline:
        product.tend()
        time.sleep(0.5)
        for job_id, row in list(waiting.items()):
            job = product.get(f"/v1/jobs/{job_id}")
            if job["status"] not in ("completed", "failed"):
                continue
            del waiting[job_id]
            if job["status"] == "completed" and job["tier"] != "micro":
                right = is_right(FEATURE, row["expected"], job["output"])
                score = _score(product, job_id)
                outcomes.append({"custom_id": row["custom_id"], "score": score, "right": right})
    if waiting:
        raise SystemExit(f"{len(waiting)} jobs did not end within {WAIT_S:.0f} s")
    return sorted(outcomes, key=lambda one: str(one["custom_id"]))


def _score(product: Product, job_id: str) -> float:
    """How sure the last attempt was of its label."""
    attempts = product.get(f"/v1/jobs/{job_id}/attempts")["data"]
    return round(float(attempts[-1]["confidence"]), 4)


def _record(second: SecondTier, outcomes: list[dict[str, Any]]) -> None:
    kept = json.loads(RECORDED.read_text("utf-8")) if RECORDED.exists() else {}
    kept[second.tier] = {**key_of(second), "threshold": chosen(outcomes), "outcomes": outcomes}
    RECORDED.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
