"""`tierline promote` and `tierline demote`, over evaluations with scripted models."""

import json
from pathlib import Path

import pytest

from tests.support.cli import Tierline
from tests.support.fake_servers.model_server import ModelServer
from tests.support.samples.amounts import AMOUNT, answering, write_rows
from tests.support.samples.tickets import KINDS, TICKETS

MANY = 900  # of which a fifth tests


@pytest.fixture(scope="module")
def amounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("amounts")
    (folder / "amounts.yaml").write_text(
        AMOUNT.replace("tiers:", "routing: frontier_only   # to begin with\ntiers:")
    )
    write_rows(folder / "rows.jsonl", MANY)
    return folder


@pytest.fixture(autouse=True)
def built(tierline: Tierline, amounts: Path, models: ModelServer) -> None:
    assert tierline("features", "apply", amounts / "amounts.yaml").code == 0
    if "no dataset" in tierline("dataset", "list", "amounts").out:
        made = tierline(
            "dataset", "build", "amounts", "--no-jobs", "--from", amounts / "rows.jsonl"
        )
        assert made.code == 0, made.err
    models.answer = answering(lambda number: False)


def test_from_the_frontier_alone_to_a_small_model_as_the_default_and_back(
    tierline: Tierline, amounts: Path
) -> None:
    assert "[candidate]" in tierline("status", "amounts").out
    refused = tierline("promote", "amounts")
    assert (refused.code, "tierline eval amounts" in refused.err) == (1, True)
    ran = tierline("eval", "amounts")
    assert "slm compared with frontier: default" in ran.out, ran.err
    status = json.loads(tierline("status", "amounts", "--json").out)
    assert (status["stage"], status["next"]) == ("evaluated", "tierline promote amounts")
    tried = tierline("promote", "amounts", "--dry-run")
    assert "would answer first" in tried.out
    ran = tierline("promote", "amounts")
    assert ran.code == 0, ran.err
    assert "slm of amounts answers first from version 2 on, for all jobs: default" in ran.out
    assert "Only failed checks escalate." in ran.out
    assert "Nothing monitors this promotion" in ran.out
    assert "-routing: frontier_only   # to begin with" in ran.out
    assert "+routing: slm_first   # to begin with" in ran.out
    listed = json.loads(tierline("promote", "amounts", "--list", "--json").out)["data"]
    assert [(one["tier"], one["ended_at"]) for one in listed] == [("slm", None)]
    shown = tierline("status", "amounts").out
    assert "[default]" in shown
    assert "tierline drift amounts" in shown
    for command in ("status", "report"):
        told = " ".join(tierline(command, "amounts").out.split())
        assert "unwatched: neither drift, nor shadows, nor feedback look at evaluation" in told
        assert "tierline drift amounts: the workers store what traffic is compared with" in told
    back = tierline("demote", "amounts", "--reason", "a new shop")
    assert back.out == "from version 3 on, amounts starts with its last tier\n"
    assert "a new shop" in tierline("promote", "amounts", "--list").out
    assert tierline("demote", "amounts").code == 1


def test_what_keeps_too_little_is_not_promoted_and_is_looked_into(
    tierline: Tierline, amounts: Path, models: ModelServer, tmp_path: Path
) -> None:
    models.answer = answering(lambda number: number % 3 == 0)
    file = tmp_path / "other.yaml"
    text = (
        (amounts / "amounts.yaml")
        .read_text()
        .replace("[openai:small]", "[openai:small]\n    temperature: 0.1")
    )
    file.write_text(text)
    assert tierline("features", "apply", file).code == 0
    assert tierline("eval", "amounts", "--limit", 150).code == 0
    ran = tierline("promote", "amounts")
    assert ran.code == 1
    assert "tierline promote amounts --investigate" in ran.err
    looked = tierline("promote", "amounts", "--investigate")
    assert looked.code == 0, looked.err
    order = [line.split(". ", 1)[1].split(":")[0] for line in looked.out.splitlines()[1:6]]
    assert order == [
        "label noise",
        "coverage of edge cases",
        "slices where it fails",
        "the learning curve",
        "prompts",
    ]


def test_of_a_closed_set_the_learning_curve_is_part_of_it(
    tierline: Tierline, models: ModelServer, tmp_path: Path
) -> None:
    models.answer = lambda body: json.dumps("billing" if body["model"] == "small" else "login")
    file = tmp_path / "tickets.yaml"
    file.write_text(TICKETS.replace("  - {name: micro, models: [micro:all-MiniLM-L6-v2]}\n", ""))
    assert tierline("features", "apply", file).code == 0
    rows = tmp_path / "rows.jsonl"
    with rows.open("w") as sink:
        for number in range(60):
            for kind, words in KINDS.items():
                row = {"input": words.format(n=number * 7919 % 10_007), "expected": kind}
                sink.write(json.dumps(row) + "\n")
    assert tierline("dataset", "build", "tickets", "--no-jobs", "--from", rows).code == 0
    assert tierline("eval", "tickets").code == 0
    looked = json.loads(tierline("promote", "tickets", "--investigate", "--json").out)
    findings = {one["at"]: one["found"] for one in looked["look_at"]}
    assert "with twice as many rows it would be" in findings["the learning curve"]
    assert "label login (0% against 100%" in findings["slices where it fails"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--canary", "0"), 2, "--canary is 0"),
        (("--canary", "1"), 2, "--canary is 1"),
        (("--canary", "nan"), 2, "a number is written in the digits 0 to 9"),
        (("--evaluation", "999999"), 1, "no evaluation 999999"),
        (("--investigate", "--evaluation", "999999"), 1, "no evaluation 999999"),
    ],
)
def test_what_cannot_be_promoted(
    tierline: Tierline, arguments: tuple[str, ...], code: int, message: str
) -> None:
    ran = tierline("promote", "amounts", *arguments)
    assert ran.code == code, ran.err
    assert message in ran.err
    assert "Traceback" not in ran.err
