"""Whether a tier is asked at all."""

import pytest

from tests.support.database.rows import micro_first, three_tiers
from tierline.features import Feature
from tierline.features.parse import parse_feature
from tierline.routing.before_call import (
    is_routed,
    is_too_complex,
    not_trained,
    predicted_to_fail,
    refused_by_plan,
)
from tierline.routing.later_tiers import LaterTiers
from tierline.routing.learned.trained import Prediction
from tierline.rules.jobs import Blocked
from tierline.rules.verdicts import Verdict

ROUTER = Prediction(0.7, {"log_length": 5.0}, "router 3")
RULES = Prediction(1.0, {"characters": 900.0}, "rules")
BLOCKED = Blocked(Verdict.BUDGET, "it is spent")
COMPLEX = """
feature: routed
instructions: Repeat the text.
input: {type: object}
output: {type: string}
complexity: {max_risk: 0.5}
tiers:
  - {name: slm, models: [openai:small]}
  - {name: frontier, models: [openai:large]}
"""


@pytest.mark.parametrize(
    ("tier_index", "plan", "refused"),
    [(0, None, False), (1, None, False), (0, "free", False), (1, "free", True), (2, "free", True)],
)
def test_a_plan_refuses_every_tier_but_the_first(
    tier_index: int, plan: str | None, refused: bool
) -> None:
    skip = refused_by_plan(tier_index, plan)
    assert (skip is not None) is refused
    assert skip is None or (skip.verdict, skip.decision) == (Verdict.PLAN, None)


def test_a_router_decides_about_the_first_of_several_tiers_alone() -> None:
    routed = parse_feature(COMPLEX)
    assert [is_routed(routed, tier) for tier in routed.tiers] == [True, False]
    assert not is_routed(three_tiers(), three_tiers().tiers[0])


def test_a_risk_at_the_limit_is_taken() -> None:
    assert not is_too_complex(ROUTER, 0.7)
    assert is_too_complex(ROUTER, 0.69)


@pytest.mark.parametrize(
    ("later", "next_tier"),
    [
        (LaterTiers(tiers=(1, 2)), "mid"),
        (LaterTiers(tiers=(2,), skipped=("mid is dear",)), "frontier"),
        (LaterTiers(), None),
        (LaterTiers(skipped=("frontier is slow",), blocked=BLOCKED), None),
        (LaterTiers(tiers=(1, 2), blocked=BLOCKED), None),
    ],
)
def test_what_will_likely_fail_is_skipped_only_where_another_tier_may_be_asked(
    later: LaterTiers, next_tier: str | None
) -> None:
    skip = predicted_to_fail(three_tiers(), ROUTER, 0.5, later)
    assert predicted_to_fail(three_tiers(), ROUTER, 0.9, later) is None
    if next_tier is None:
        assert skip is None
        return
    assert skip is not None
    assert skip.decision is not None
    assert (skip.verdict, skip.decision.choice) == (Verdict.TOO_COMPLEX, next_tier)


def test_the_decision_keeps_what_it_was_made_from() -> None:
    feature: Feature = three_tiers()
    skip = predicted_to_fail(feature, RULES, 0.5, LaterTiers(tiers=(1,)))
    assert skip is not None
    assert skip.decision is not None
    assert skip.decision.to_dict() == {
        "policy": "complexity",
        "choice": "mid",
        "reason": "the rules expect it to fail at a risk of 1.00, and 0.5 is allowed",
        "signals": {"characters": 900.0, "risk": 1.0, "by": "rules"},
        "threshold": 0.5,
    }


def test_an_untrained_micro_tier_is_skipped_whatever_comes_after_it() -> None:
    feature = micro_first()
    skip = not_trained(feature, "none is trained", LaterTiers(tiers=(1, 2)))
    assert skip.decision is not None
    assert (skip.verdict, skip.decision.choice) == (Verdict.LOW_CONFIDENCE, "slm")
    blocked = not_trained(feature, "none is trained", LaterTiers(tiers=(1, 2), blocked=BLOCKED))
    assert (blocked.verdict, blocked.decision) == (Verdict.LOW_CONFIDENCE, None)
