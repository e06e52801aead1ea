"""The JSON of evaluations and promotions."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from tierline.views.view import AnyJson, AnyObject, Page, TextId, Time, UnknownCostCalls, Usd, View

EvaluationStatus = Annotated[
    str, WithJsonSchema({"type": "string", "enum": ["running", "completed", "cancelled"]})
]
Rung = Annotated[str, WithJsonSchema({"type": "string", "enum": ["ship", "default"]})]


class EvaluationProgress(View):
    """The progress of a running evaluation."""

    asked: int
    ended: int
    of: int = Field(description="answers in all, including a judge's")
    cost_usd: Usd
    unknown_cost_calls: UnknownCostCalls
    waits_for: str | None = Field(
        description="budget: the rest of max_usd may not pay for one more answer; null: nothing"
    )


class Evaluation(View):
    """The quality of each tier on a dataset's test examples."""

    id: TextId
    feature: str
    dataset: int = Field(description="its version")
    status: EvaluationStatus
    tiers: list[str] = Field(description="each is compared with the last")
    planned: int = Field(description="examples")
    left_out: AnyObject = Field(description="examples that a tier was trained on, by source")
    max_usd: Usd | None = Field(description="the most it may cost; null: any")
    created_at: Time
    ended_at: Time | None
    found: AnyObject | None = Field(description="the result; null: not completed")
    stale: str | None = Field(description="why it is no longer valid; null: it is valid")
    progress: EvaluationProgress | None = Field(description="null: it has ended")


def evaluation_view(row: Mapping[str, Any], stale: str | None) -> Evaluation:
    """An ended evaluation as callers see it. `stale`: why it is no longer valid."""
    return Evaluation.model_validate({**_told(row), "stale": stale, "progress": None})


def running_view(row: Mapping[str, Any], so_far: Mapping[str, Mapping[str, Any]]) -> Evaluation:
    """A running evaluation. `so_far`: by tier, and of the judge, the answers so far."""
    plan = row["plan"]
    judge = so_far.get("the judge")
    progress = {
        "asked": sum(one["asked"] for one in so_far.values()),
        "ended": sum(one["ended"] for one in so_far.values()),
        "of": len(plan["numbers"]) * len(plan["tiers"]) + (0 if judge is None else judge["asked"]),
        "cost_usd": sum((one["cost_usd"] for one in so_far.values()), Decimal(0)),
        "unknown_cost_calls": sum(one["unknown_cost_calls"] for one in so_far.values()),
        "waits_for": row["waits_for"],
    }
    return Evaluation.model_validate({**_told(row), "stale": None, "progress": progress})


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    plan = row["plan"]
    return {
        **row,
        "tiers": [planned["tier"] for planned in plan["tiers"]],
        "planned": len(plan["numbers"]),
        "left_out": plan["left_out"],
        "found": row["document"],
    }


class EvaluationList(Page[Evaluation]):
    """A feature's evaluations."""


class Differing(View):
    """An example on which a tier differs from the last one."""

    row: int = Field(description="of the dataset")
    input: AnyJson
    expected: AnyJson
    output: AnyJson
    job_id: str
    other_output: AnyJson
    other_job_id: str


class DifferingList(Page[Differing]):
    """The examples on which two tiers differ, the largest losses first."""


class Promotion(View):
    """A first tier that answers because of its evidence."""

    id: TextId
    feature: str
    tier: str
    evaluation: TextId
    rung: Rung
    share: float = Field(description="share of the jobs that begin on the tier")
    feature_version: int = Field(description="the version that it made")
    most_differing: float = Field(
        description="the share of its answers that may differ from the last tier's"
    )
    created_at: Time
    ended_at: Time | None
    ended_reason: str | None
    demoted_to: int | None = Field(description="the version that ended it")
    compared: int | None = Field(description="answers compared since; null: it has ended")
    differing: int | None = Field(description="of those")


def promotion_view(row: Mapping[str, Any], since_then: tuple[int, int] | None) -> Promotion:
    """A promotion as callers see it. `since_then`: how many answers were compared, and how many of
    them differ; None once it has ended."""
    compared, differing = (None, None) if since_then is None else since_then
    return Promotion.model_validate(
        {
            **row,
            "evaluation": row["evaluation_id"],
            "feature_version": row["version"],
            "compared": compared,
            "differing": differing,
        }
    )


class PromotionList(Page[Promotion]):
    """A feature's promotions."""


class FeatureChange(View):
    """A key of a feature's file that changes."""

    key: str
    value: AnyJson


class MadePromotion(View):
    """What a promotion changed, or would change."""

    feature: str
    tier: str
    rung: Rung
    reason: str = Field(description="what the evaluation showed")
    evaluation: TextId
    share: float = Field(description="share of the jobs; below 1 it is a canary")
    changes: list[FeatureChange] = Field(
        description="of the feature's file; null: without that key"
    )
    source: str = Field(description="the feature's file with the changes")
    watched: bool = Field(description="the feature has shadows to monitor it")
    only_checks_escalate: bool = Field(description="low confidence does not escalate")
    feature_version: int | None = Field(description="null: a dry run")
    promotion: Promotion | None = Field(description="null: a dry run")


class Demotion(View):
    """The version with which the last tier answers all jobs again."""

    feature: str
    feature_version: int = Field(description="the version that begins on the last tier")
    reason: str
