"""What the first page says is wrong, and a feature's figures."""

from decimal import Decimal
from typing import Any

import pytest

from api.console.views.overview import Promise, card_of, wrongs_of
from tierline.views.evidence.calibrations import Calibration
from tierline.views.evidence.watching import PromiseWatch
from tierline.views.reports.reports import FeatureStatus, Report, ReportedTier


def budget(spent: str, *, reserved: str = "0", hard: bool = True) -> dict[str, Any]:
    amounts = {"spent_usd": Decimal(spent), "reserved_usd": Decimal(reserved)}
    names = {"account": "a", "scope": "account", "key": "", "period": "month"}
    return {**amounts, **names, "limit_usd": Decimal(10), "hard": hard}


def status(**more: Any) -> FeatureStatus:
    given = {"feature": "echo", "drifted": False, "watch": None, "stale": None}
    return FeatureStatus.model_construct(**{**given, **more})


def tier(name: str, served: int) -> ReportedTier:
    return ReportedTier.model_construct(tier=name, served=served)


def report(*tiers: ReportedTier) -> Report:
    return Report.model_construct(tiers=list(tiers))


@pytest.mark.parametrize(
    ("one", "tones"),
    [
        (budget("7.9"), []),
        (budget("8"), ["warn"]),
        (budget("5", reserved="4"), ["warn"]),
        (budget("10"), ["bad"]),
        (budget("11", hard=False), ["warn"]),
    ],
    ids=str,
)
def test_a_budget_is_shown_when_it_is_nearly_spent(one: dict[str, Any], tones: list[str]) -> None:
    assert [wrong.tone for wrong in wrongs_of({}, [one], [])] == tones


def test_what_stops_work_stands_before_what_may() -> None:
    watch = PromiseWatch(
        evidence="calibration", unwatched=True, by=[], labels=0, next=None, why=None
    )
    card = card_of(status(drifted=True, watch=watch, stale="the prompt changed"), report(), [])
    wrong = wrongs_of({"broker": "away"}, [budget("9")], [card])
    assert [one.tone for one in wrong] == ["bad", "warn", "warn", "warn", "warn"]
    assert wrong[0][1:] == ("broker", "away")
    assert [one.what for one in wrong[2:]] == ["echo"] * 3


def test_shares_are_of_the_answers_served() -> None:
    card = card_of(status(), report(tier("slm", 3), tier("frontier", 1)), [])
    assert [(one.place, one.share) for one in card.tiers] == [(0, 0.75), (1, 0.25)]
    nothing = card_of(status(), report(tier("slm", 0)), [])
    assert [one.share for one in nothing.tiers] == [None]


def test_only_a_calibration_in_force_promises() -> None:
    values = {"tier": "slm", "max_error": 0.03, "confidence": 0.95}
    comparisons = {"shadow_samples": 50, "shadow_errors": 1}
    made = [
        Calibration.model_construct(state=state, **values, **comparisons)
        for state in ("in_force", "withdrawn")
    ]
    (promise,) = card_of(status(), report(), made).promises
    assert promise.observed_error == 0.02
    assert Promise("slm", 0.03, 0.95, 0, 0).observed_error is None
