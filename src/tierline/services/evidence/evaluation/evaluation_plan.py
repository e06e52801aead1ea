"""Plans an evaluation: which tiers it asks, each as a draft of its own, and which examples."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict, NotFound
from tierline.base.json_text import canonical_json
from tierline.evaluation.summary import FEWEST
from tierline.features import Feature, ModelRef
from tierline.pricing import PricedCall, price_of
from tierline.pricing.estimates import prices_of
from tierline.routing.thresholds.fingerprint import task
from tierline.services.evidence.evaluation.evaluation_judge import keep_judge
from tierline.services.evidence.evaluation.evaluation_validity import recipe_alone
from tierline.services.features.find_feature import current_version
from tierline.storage.evidence import datasets
from tierline.storage.features import features
from tierline.storage.money.prices import own_prices
from tierline.storage.steering.artefacts import seen_by_micro_model
from tierline.views.evidence.datasets import StoredDataset
from tierline.views.evidence.evaluations import EvaluationPlan, PlannedTier

MOST_EXAMPLES = 10_000
# stored bytes of a training input's digest: among 10,000 inputs, the probability that two share
# them is below 10^-11
DIGEST_BYTES = 8


@dataclass(frozen=True)
class EvaluationRequest:
    """The options of an evaluation."""

    dataset: int | None = None  # its version; None: the newest
    tiers: Sequence[str] | None = None  # names; None: all. Each is compared with the last of them
    limit: int | None = None  # most examples; None: all test examples
    max_usd: Decimal | None = None  # None: no limit


def plan_of(
    connection: Connection[Any], feature: Feature, request: EvaluationRequest, readable: int | None
) -> tuple[StoredDataset, EvaluationPlan]:
    """The dataset, and the plan as it is stored. `readable`: the account whose job inputs may be
    used, or None for all. Raises NotFound, and Conflict if the request cannot be evaluated.
    """
    name = feature.name
    tiers = _tiers(feature, request.tiers)
    dataset = datasets.dataset(connection, name, request.dataset)
    if dataset is None:
        which = "no dataset" if request.dataset is None else f"no dataset {request.dataset}"
        raise NotFound(f"the feature {name[:80]!r} has {which}: build one")
    if dataset["task"] != task(feature):
        raise Conflict(
            f"dataset {dataset['version']} is of another task: {name} was changed after it was "
            "built"
        )
    if request.max_usd is not None:
        _refuse_unpriced(connection, feature, tiers)
    numbers, left_out = _examples(connection, feature, tiers, dataset, readable, request.limit)
    plan: EvaluationPlan = {
        "tiers": [_planned(connection, feature, tier) for tier in tiers],
        "limit": request.limit,
        "judge_draft_id": keep_judge(connection, feature),
        "numbers": numbers,
        "left_out": left_out,
    }
    return dataset, plan


def _tiers(feature: Feature, requested: Sequence[str] | None) -> list[str]:
    """The tiers to ask. The last is the one that the others are compared with."""
    all_names = [tier.name for tier in feature.tiers]
    names = all_names if requested is None else list(requested)
    for name in names:
        if name not in all_names:
            raise Conflict(
                f"{feature.name} has no tier {name[:63]!r}; its tiers: {', '.join(all_names)}"
            )
    if len(set(names)) < 2:
        raise Conflict(
            f"two tiers are compared: name at least two of {feature.name}'s: {', '.join(all_names)}"
        )
    return sorted(set(names), key=all_names.index)


def _planned(connection: Connection[Any], feature: Feature, tier: str) -> PlannedTier:
    """One tier's part of the plan: a draft with only this tier, which serves every answer, and the
    recipe and models of its answers.
    """
    source = current_version(connection, feature.name).source
    alone = replace(feature.only(tier, sure=False), cases=())
    with connection.transaction():
        draft = features.add_draft(connection, alone, source)
    return {
        "tier": tier,
        "draft_id": draft.id,
        "recipe": recipe_alone(feature, tier),
        "models": [str(model) for model in feature.tier(tier).models],
    }


def _refuse_unpriced(connection: Connection[Any], feature: Feature, tiers: Sequence[str]) -> None:
    own, now = own_prices(connection), datetime.now(UTC)
    prices = prices_of(feature, own, now)
    unknown = [
        (f"tier {name}", str(model))
        for name in tiers
        for model in feature.tier(name).models
        if not feature.tier(name).is_micro and prices[name][str(model)] is None
    ]
    judge = feature.compared_by.model
    if judge is not None and price_of(ModelRef.parse(judge), PricedCall(now), None, own) is None:
        unknown.append(("the judge", judge))
    for who, model in unknown:
        raise Conflict(
            f"{who}: {model} has no price, so no budget can be enforced: give one by 'tierline "
            "prices set', or omit the budget"
        )


def _examples(
    connection: Connection[Any],
    feature: Feature,
    tiers: Sequence[str],
    dataset: StoredDataset,
    readable: int | None,
    limit: int | None,
) -> tuple[list[int], dict[str, int]]:
    """The numbers of the test rows that no tier has seen, and how many rows were excluded."""
    in_prompt = {
        hashlib.sha256(canonical_json(example.input).encode()).hexdigest()
        for shown in (feature.examples, *(tier.examples or () for tier in feature.tiers))
        for example in shown
    }
    seen = _in_training(connection, feature, tiers)
    rows = datasets.test_rows(connection, dataset["id"], readable)
    left_out = {"in_prompt": 0, "in_training": 0}
    numbers = []
    for number, digest in rows:
        if digest in in_prompt:
            left_out["in_prompt"] += 1
        elif bytes.fromhex(digest)[:DIGEST_BYTES] in seen:
            left_out["in_training"] += 1
        else:
            numbers.append(number)
    if len(numbers) < FEWEST:
        raise Conflict(
            f"not enough data: dataset {dataset['version']} has {len(numbers)} usable test "
            f"examples, and at least {FEWEST} are needed; examples that are in a prompt, trained "
            "a tier or may not be read are not usable"
        )
    return numbers[: min(limit or MOST_EXAMPLES, MOST_EXAMPLES)], left_out


def _in_training(
    connection: Connection[Any], feature: Feature, tiers: Sequence[str]
) -> frozenset[bytes]:
    """The first DIGEST_BYTES of the digests of the current micro model's training inputs."""
    if not any(feature.tier(name).is_micro for name in tiers):
        return frozenset()
    packed = seen_by_micro_model(connection, feature.name, task(feature))
    if packed is None:
        raise Conflict(
            f"it is not known what the micro model of {feature.name} was trained on: train it on "
            f"the server by 'tierline micro train {feature.name}'"
        )
    return frozenset(packed[at : at + DIGEST_BYTES] for at in range(0, len(packed), DIGEST_BYTES))
