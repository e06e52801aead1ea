"""`tierline advise`, of an applied feature and of a file that was never applied."""

import json
from pathlib import Path

import pytest

from tests.support.cli import Tierline
from tests.support.samples.tickets import TICKETS, labelled, written


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    file = tmp_path / "tickets.yaml"
    file.write_text(TICKETS)
    return file


def test_of_a_file_only_what_stands_in_it_is_known(tierline: Tierline, tickets: Path) -> None:
    ran = tierline("advise", tickets)
    assert ran.code == 0, ran.err
    assert "the output is one of a closed set of labels" in ran.out
    assert "give --high-stakes" in ran.out
    assert "A clearer answer needs: " in ran.out
    assert f"tierline features apply {tickets}" in ran.out.replace("\n", "")
    made = json.loads(tierline("advise", tickets, "--json").out)
    assert made["recommendation"] in ("small first", "open")
    surer = json.loads(
        tierline(
            *("advise", tickets, "--requests-per-day", 200_000, "--latency-ms", 300),
            *("--low-stakes", "--clear", "--one-source", "--json"),
        ).out
    )
    assert surer["sure"] > made["sure"]
    assert set(surer["missing"]) < set(made["missing"])


def test_of_a_feature_traffic_labels_and_inputs_are_measured(
    tierline: Tierline, tickets: Path, tmp_path: Path
) -> None:
    assert tierline("features", "apply", tickets).code == 0
    before = json.loads(tierline("advise", "tickets", "--json").out)
    by_name = {one["name"]: one for one in before["signals"]}
    assert by_name["traffic"]["evidence"].startswith("0 requests a day")
    assert by_name["labelled examples"]["points"] == "frontier"
    assert before["next"] == "tierline status tickets"
    rows = written(tmp_path / "rows.csv", labelled(150))
    assert tierline("dataset", "build", "tickets", "--no-jobs", "--from", rows).code == 0
    after = json.loads(tierline("advise", "tickets", "--json").out)
    by_name = {one["name"]: one for one in after["signals"]}
    assert by_name["labelled examples"]["points"] == "small"
    assert by_name["narrow and predictable input"]["points"] == "small"
    assert after["next"] == "tierline eval tickets"
    assert after["lean"] > before["lean"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nothing-such",), 1, "there is no feature 'nothing-such'"),
        (("no-such-file.yaml",), 2, "No such file"),
        (("tickets", "--requests-per-day", "-1"), 2, "--requests-per-day"),
        (("tickets", "--latency-ms", "0"), 2, "--latency-ms"),
    ],
)
def test_what_cannot_be_advised_about(
    tierline: Tierline, arguments: tuple[str, ...], code: int, message: str
) -> None:
    ran = tierline("advise", *arguments)
    assert ran.code == code, ran.err
    assert message in ran.err
    assert "Traceback" not in ran.err
