"""A judge of an evaluation's answers, where the feature is compared by one: see evidence.judge.

It is asked by jobs of a draft of its own, on the backfill lane like the tiers, and is not told
whose the answers are: each answer that does not equal what is expected is shown beside it, in both
orders. Both are the same if it says so both times. Its calls have the purpose `judge`; the account
that ordered the evaluation pays for them, as for the answers, within the evaluation's max_usd.
"""

from collections.abc import Mapping
from typing import Any

from psycopg import Connection

from tierline.base.ids import new_id
from tierline.features import Feature, ModelRef, Tier
from tierline.rules.jobs import Status
from tierline.rules.purposes import Purpose
from tierline.rules.queues import lane
from tierline.services.evidence.judge import ANSWER, ASKED, MAX_TOKENS, TIMEOUT_S
from tierline.storage.evidence import evaluations
from tierline.storage.features import features

Row = Mapping[str, Any]
Pair = tuple[str, int, bool]
"""A tier, the number of a row, and whether what is expected stands first."""


def keep_judge(connection: Connection[Any], feature: Feature) -> int | None:
    """The judge's draft; None: the feature is compared without one."""
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
    return features.add_draft(connection, made, "", features.first_calls(made, Purpose.JUDGE)).id


def to_judge(connection: Connection[Any], feature: Feature, row: Row) -> list[Pair]:
    """What is still to be put to the judge: the second order only of what the first one held to be
    the same.
    """
    if row["plan"].get("judge_draft_id") is None:
        return []
    said = evaluations.judged(connection, row["id"])
    found: list[Pair] = []
    for one in evaluations.answers(connection, row["id"]):
        if one["removed"] or not one["has_output"] or one["status"] != Status.COMPLETED:
            continue
        if feature.compared_by.same(one["output"], one["expected"]):
            continue
        first = said.get((one["tier"], one["number"], False))
        if first is None:
            found.append((one["tier"], one["number"], False))
        elif first["same"] and (one["tier"], one["number"], True) not in said:
            found.append((one["tier"], one["number"], True))
    return found


def ask_judge(connection: Connection[Any], row: Row, pairs: list[Pair]) -> None:
    """Queue these. Under the evaluation's lock."""
    for tier, swapped in sorted({(tier, swapped) for tier, _, swapped in pairs}):
        evaluations.ask_judge(
            connection,
            row,
            tier=tier,
            swapped=swapped,
            draft_id=row["plan"]["judge_draft_id"],
            queue=lane(0, backfill=True),
            jobs={
                number: new_id()
                for of_tier, number, order in pairs
                if (of_tier, order) == (tier, swapped)
            },
        )


def held_same(said: Mapping[Pair, Row], tier: str, number: int) -> bool:
    """Whether the judge held a tier's answer to say what is expected, in both orders."""
    return all(
        (one := said.get((tier, number, swapped))) is not None and one["same"] is True
        for swapped in (False, True)
    )
