"""`tierline micro`, on labelled jobs that are put into the tables by hand."""

import json
from pathlib import Path

import pytest

from tests.support.cli import Tierline
from tests.support.samples.tickets import KINDS, TICKETS, answered

pytestmark = pytest.mark.usefixtures("trains")


@pytest.fixture(scope="module")
def tickets(api: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tickets") / "tickets.yaml"
    file.write_text(TICKETS)
    return file


def test_a_feature_without_a_label_says_so(tierline: Tierline, tickets: Path) -> None:
    assert tierline("features", "apply", tickets).code == 0
    ran = tierline("micro", "train", "tickets")
    assert ran.code == 1
    assert "no input of tickets has a label" in ran.err
    assert tierline("micro", "list", "tickets").out.startswith("no micro model yet")


def test_a_feature_without_a_micro_tier_says_what_it_needs(
    tierline: Tierline, feature: str
) -> None:
    ran = tierline("micro", "train", feature)
    assert ran.code == 1
    assert "give it '- {name: micro, models: [micro:all-MiniLM-L6-v2]}'" in ran.err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--max-error", "1.5"), ("--confidence", "2"), ("--strangers", "-1")],
)
def test_a_share_outside_its_range_is_refused(tierline: Tierline, option: str, value: str) -> None:
    ran = tierline("micro", "train", "tickets", option, value)
    assert ran.code == 2
    assert option in ran.err


def test_it_is_trained_promised_listed_and_withdrawn(
    tierline: Tierline, tickets: Path, database_url: str
) -> None:
    assert tierline("features", "apply", tickets).code == 0
    answered(database_url, 60)
    changed = tickets.with_name("again.yaml")
    changed.write_text(tickets.read_text().replace("share: 0.02", "share: 0.05"))
    assert tierline("features", "apply", changed).code == 0
    tried = tierline("micro", "train", "tickets", "--dry-run")
    assert tried.code == 0, tried.err
    assert "not saved" in tried.out
    ran = tierline("micro", "train", "tickets", "--max-error", "0.1", "--json")
    assert ran.code == 0, ran.err
    made = json.loads(ran.out)
    assert made["quality"]["held_out_accuracy"] == 1.0
    calibration = made["micro_model"]["calibration"]
    assert (calibration["state"], calibration["reference_models"]) == ("in_force", ["large-2026"])
    assert calibration["bound"] <= 0.1
    assert {one["label"] for one in calibration["by_label"]} == set(KINDS)
    printed = tierline("micro", "train", "tickets", "--max-error", "0.2")
    assert "in use from now on" in printed.out
    assert "may differ from large-2026" in printed.out
    few = tierline("micro", "train", "tickets", "--max-error", "0.001")
    assert few.code == 1
    assert "not enough data" in few.err
    id = made["micro_model"]["id"]
    listed = json.loads(tierline("micro", "list", "tickets", "--json").out)["data"]
    assert [one["id"] for one in listed][-1] == id
    assert tierline("micro", "withdraw", "tickets", id).code == 0
    assert "no micro model 999" in tierline("micro", "withdraw", "tickets", 999).err
