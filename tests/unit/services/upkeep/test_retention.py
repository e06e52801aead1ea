"""What a feature's retention means: what is walked for, what goes, and what a new version takes."""

from dataclasses import replace

import pytest

from tests.support.database.rows import two_tiers
from tierline.features import Retention
from tierline.services.features.apply_feature import kept_shorter
from tierline.services.upkeep.retention import Pass, passes
from tierline.storage.upkeep.retention import What

INPUTS, OUTPUTS, BOTH = What(True, False), What(False, True), What(True, True)


@pytest.mark.parametrize(
    ("inputs", "outputs", "expected"),
    [
        (None, None, []),
        (7, None, [Pass(INPUTS, INPUTS, 7)]),
        (None, 7, [Pass(OUTPUTS, OUTPUTS, 7)]),
        (7, 30, [Pass(OUTPUTS, BOTH, 30), Pass(INPUTS, INPUTS, 7)]),
        (30, 7, [Pass(OUTPUTS, OUTPUTS, 7), Pass(INPUTS, BOTH, 30)]),
        (7, 7, [Pass(OUTPUTS, BOTH, 7), Pass(INPUTS, BOTH, 7)]),
    ],
)
def test_what_has_the_shorter_time_goes_along_with_what_has_the_longer(
    inputs: float | None, outputs: float | None, expected: list[Pass]
) -> None:
    assert passes(Retention(inputs, outputs)) == expected


@pytest.mark.parametrize(
    ("before", "after", "removed"),
    [
        (None, None, []),
        (None, Retention(7, 30), ["inputs", "outputs"]),
        (Retention(7, 30), Retention(7, 30), []),
        (Retention(7, 30), Retention(7, 29.5), ["outputs"]),
        (Retention(7, 30), Retention(8, 31), []),
        (Retention(7, None), Retention(None, 30), ["outputs"]),
        (Retention(7, 30), None, []),
    ],
)
def test_a_new_version_says_what_it_keeps_shorter(
    before: Retention | None, after: Retention | None, removed: list[str]
) -> None:
    echo = two_tiers()
    lines = kept_shorter(replace(echo, retention=before), replace(echo, retention=after))
    assert [text.split()[1] for text in lines] == removed


def test_a_new_feature_has_nothing_to_remove() -> None:
    assert kept_shorter(None, replace(two_tiers(), retention=Retention(1, 1))) == []
