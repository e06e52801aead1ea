"""Judges an evaluation's answers, if the feature is compared by a judge: see evidence.judge.

The judge's jobs have a draft of their own and use the backfill lane, like those of the tiers. Each
answer that does not equal the expected output is compared with it, in both orders. The judge does
not see which of the two is the tier's answer. They count as the same only if the judge says so both
times. Its calls have the purpose `judge`. The account that ordered the evaluation pays for them and
for the answers, within the evaluation's max_usd.
"""

from collections.abc import Mapping
from typing import Any

from psycopg import Connection

from tierline.base.ids import new_id
from tierline.features import Feature, ModelRef, Tier
from tierline.rules.jobs import Status
from tierline.rules.purposes import Purpose
from tierline.rules.queues import lane
from tierline.services.evidence.evaluation.judge import ANSWER, ASKED, MAX_TOKENS, TIMEOUT_S
from tierline.storage.evidence import evaluation_jobs
from tierline.storage.evidence.evaluation_jobs import Judgement
from tierline.storage.features import features
from tierline.views.evidence.evaluations import EvaluationRow

Pair = tuple[str, int, bool]
"""(tier, row number, whether the expected output comes first)."""


def keep_judge(connection: Connection[Any], feature: Feature) -> int | None:
    """Store the judge's draft and return its id. None if the feature has no judge."""
    how = feature.compared_by
    if how.kind != "judge" or how.model is None:
        return None
    counts = "" if how.instructions is None else f"\nWhat counts: {how.instructions}"
    made = Feature(
        name=feature.name,
        description="",
        instructions=f"{ASKED}{counts}\nThe task of both was: {feature.instructions}",
        input_schema={"type": "object"},
        output_schema=ANSWER,
        tiers=(Tier("judge", (ModelRef.parse(how.model),), MAX_TOKENS, TIMEOUT_S),),
        routing="slm_only",
    )
    calls = features.first_calls(made, Purpose.JUDGE)
    with connection.transaction():
        return features.add_draft(connection, made, "", calls).id


def to_judge(connection: Connection[Any], feature: Feature, row: EvaluationRow) -> list[Pair]:
    """The pairs that the judge must still compare. The second order follows only if the judge said
    "the same" in the first one.
    """
    if row["plan"].get("judge_draft_id") is None:
        return []
    judgements = evaluation_jobs.judged(connection, row["id"])
    pairs: list[Pair] = []
    for one in evaluation_jobs.answers(connection, row["id"]):
        if one["removed"] or not one["has_output"] or one["status"] != Status.COMPLETED:
            continue
        if feature.compared_by.same(one["output"], one["expected"]):
            continue
        first = judgements.get((one["tier"], one["number"], False))
        if first is None:
            pairs.append((one["tier"], one["number"], False))
        elif first["same"] and (one["tier"], one["number"], True) not in judgements:
            pairs.append((one["tier"], one["number"], True))
    return pairs


def ask_judge(connection: Connection[Any], row: EvaluationRow, pairs: list[Pair]) -> None:
    """Queue jobs for these pairs. The caller must hold the evaluation's lock."""
    draft_id = row["plan"].get("judge_draft_id")
    if draft_id is None:
        return
    for tier, swapped in sorted({(tier, swapped) for tier, _, swapped in pairs}):
        evaluation_jobs.ask_judge(
            connection,
            row,
            tier=tier,
            swapped=swapped,
            draft_id=draft_id,
            queue=lane(0, backfill=True),
            jobs={
                number: new_id()
                for of_tier, number, order in pairs
                if (of_tier, order) == (tier, swapped)
            },
        )


def held_same(judgements: Mapping[Pair, Judgement], tier: str, number: int) -> bool:
    """Whether the judge held a tier's answer and the expected output to be the same, both times."""
    return all(
        (one := judgements.get((tier, number, swapped))) is not None and one["same"] is True
        for swapped in (False, True)
    )
