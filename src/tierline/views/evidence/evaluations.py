"""The JSON of evaluations and promotions."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, NotRequired, TypedDict

from pydantic import Field, WithJsonSchema

from tierline.base.json_text import JSON
from tierline.views.view import AnyJson, AnyObject, Page, TextId, Time, UnknownCostCalls, Usd, View

EvaluationStatus = Annotated[
    str, WithJsonSchema({"type": "string", "enum": ["running", "completed", "cancelled"]})
]
Rung = Annotated[str, WithJsonSchema({"type": "string", "enum": ["ship", "default"]})]


class PlannedTier(TypedDict):
    """A tier that an evaluation asks."""

    tier: str
    draft_id: int  # the feature version with this tier alone
    recipe: str
    models: list[str]


class EvaluationPlan(TypedDict):
    """What an evaluation asks, as it is stored."""

    tiers: list[PlannedTier]  # each is compared with the last
    limit: int | None  # most examples; None: all
    judge_draft_id: NotRequired[int | None]  # None: no judge compares
    numbers: list[int]  # of the dataset's rows
    left_out: dict[str, int]  # rows that a tier was trained on, by source


class EvaluationRow(TypedDict):
    """The row of an evaluation, with its dataset's."""

    id: int
    feature: str
    dataset_id: int
    account_id: int  # who pays
    status: str
    plan: EvaluationPlan
    max_usd: Decimal | None  # None: any
    document: JSON  # the result; None: not completed
    created_at: datetime
    ended_at: datetime | None
    waits_for: str | None
    dataset: int  # its version
    task: str  # the digest of what the dataset's labels mean
    dataset_at: datetime


class TierProgress(TypedDict):
    """What a tier, or the judge, was asked so far."""

    tier: str
    asked: int
    ended: int
    last_end: datetime | None
    cost_usd: Decimal  # known so far
    most_usd: Decimal  # of one answer
    unknown_cost_calls: int


class PromotionRow(TypedDict):
    """The row of a promotion."""

    id: int
    feature: str
    tier: str
    evaluation_id: int
    rung: str
    share: float  # of the jobs that begin on the tier
    version: int  # the feature version that it made
    most_differing: float  # share of its answers that may differ from the last tier's
    created_at: datetime
    ended_at: datetime | None
    ended_reason: str | None
    demoted_to: int | None  # the version that ended it
    refuted: bool  # its evaluation no longer holds


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
    result: AnyObject | None = Field(description="null: not completed")
    found: AnyObject | None = Field(
        deprecated=True, description="result as version 0.2 named it; null: not completed"
    )
    stale: str | None = Field(description="why it is no longer valid; null: it is valid")
    progress: EvaluationProgress | None = Field(description="null: it has ended")


def evaluation_view(row: EvaluationRow, stale: str | None) -> Evaluation:
    """An ended evaluation as callers see it. `stale`: why it is no longer valid."""
    return Evaluation.model_validate({**_common_fields(row), "stale": stale, "progress": None})


def running_view(row: EvaluationRow, so_far: Mapping[str, TierProgress]) -> Evaluation:
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
    return Evaluation.model_validate({**_common_fields(row), "stale": None, "progress": progress})


def _common_fields(row: EvaluationRow) -> dict[str, Any]:
    plan = row["plan"]
    return {
        **row,
        "tiers": [planned["tier"] for planned in plan["tiers"]],
        "planned": len(plan["numbers"]),
        "left_out": plan["left_out"],
        "result": row["document"],
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


def promotion_view(row: PromotionRow, since_then: tuple[int, int] | None) -> Promotion:
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
