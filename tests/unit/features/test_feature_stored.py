"""What this release reads of a feature version that another may have written."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.database.rows import three_tiers
from tests.support.samples.features import INVOICE, STEPS, SUMMARY, TRIAGE
from tierline.features import Retention
from tierline.features.parse import parse_feature
from tierline.features.stored import UnreadableFeature, read_retention, read_stored


@pytest.fixture
def document() -> dict[str, Any]:
    return dict(three_tiers().to_dict())


def test_what_this_release_wrote_it_reads(document: dict[str, Any]) -> None:
    assert read_stored("three", 1, document) == three_tiers()


@pytest.mark.parametrize("text", [INVOICE, STEPS, TRIAGE, SUMMARY])
def test_what_a_file_says_is_read(text: str) -> None:
    feature = parse_feature(text)
    assert read_stored(feature.name, 1, feature.to_dict()) == feature


def test_what_the_examples_say_is_read() -> None:
    files = sorted(Path("examples/features").glob("*.yaml"))
    assert files
    for file in files:
        feature = parse_feature(file.read_text())
        assert read_stored(feature.name, 1, feature.to_dict()) == feature


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda one: one.update(guard={}), "(/guard)"),
        (lambda one: one["tiers"][1].update(thinks=True), "(/tiers/1/thinks)"),
        (lambda one: one.update(checks=[{"rule": "true", "weight": 2}]), "(/checks/0/weight)"),
        (lambda one: one.update(checks=[{"toxic": 0.5}]), "(/checks/0/toxic)"),
        (lambda one: one.update(canary={"tier": "slm", "by": "user"}), "TypeError"),
        (lambda one: one.update(tiers={"slm": {}}), "AttributeError"),
        (lambda one: one.pop("routing"), "KeyError"),
    ],
)
def test_what_a_later_release_wrote_is_not_read_without_what_it_says(
    document: dict[str, Any], change: Any, named: str
) -> None:
    change(document)
    with pytest.raises(UnreadableFeature) as raised:
        read_stored("three", 4, document)
    assert named in raised.value.message
    assert raised.value.message.startswith("version 4 of three ")
    assert (raised.value.name, raised.value.version) == ("three", 4)


def test_a_message_about_many_long_keys_is_short(document: dict[str, Any]) -> None:
    document |= {f"{'k' * 1000}{number}": 1 for number in range(1000)}
    with pytest.raises(UnreadableFeature) as raised:
        read_stored("three", 4, document)
    assert len(raised.value.message) < 400


def test_a_retention_that_is_not_understood_removes_nothing() -> None:
    assert read_retention(Retention(inputs_days=3.0).to_dict()) == Retention(inputs_days=3.0)
    for unreadable in ({"inputs_hours": 3}, {"inputs_days": "x"}, {"outputs_days": -1}):
        assert read_retention({"keep_labelled": False} | unreadable) is None
    assert read_retention({}) is None
