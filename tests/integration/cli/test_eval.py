"""`tierline eval`: a real API, a worker, and scripted models at the network's far end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.integration.cli.conftest import Tierline
from tests.support.model_server import ModelServer

AMOUNT = """feature: amounts
instructions: Give the amount.
input: {type: object, required: [text], properties: {text: {type: string}}}
output: {type: object, required: [amount], properties: {amount: {type: number}}}
tiers:
  - name: slm
    models: [openai:small]
    prices:
      openai:small: {input_usd_per_mtok: 0.1, output_usd_per_mtok: 0.4}
  - name: frontier
    models: [openai:large]
    prices:
      openai:large: {input_usd_per_mtok: 10, output_usd_per_mtok: 40}
"""
EXAMPLES = 150  # of which about a fifth tests


def answering(lost: Callable[[int], bool]) -> Callable[[Any], str]:
    """The large model knows all, the small one not what is lost to it."""

    def answer(body: Any) -> str:
        asked = body["messages"][-1]["content"].replace("\n", " ").split()
        number = next(int(word) for word in asked if word.isdigit())
        wrong = body["model"] == "small" and lost(number)
        return json.dumps({"amount": number + wrong})

    return answer


@pytest.fixture(scope="module")
def amounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("amounts")
    (folder / "amounts.yaml").write_text(AMOUNT)
    with (folder / "rows.jsonl").open("w") as sink:
        for number in range(100, 100 + EXAMPLES):
            text = f"It costs {number} euros in the {number % 7}th shop on street {number * 31}"
            sink.write(json.dumps({"input": text, "expected": {"amount": number}}) + "\n")
    return folder


@pytest.fixture(autouse=True)
def built(tierline: Tierline, amounts: Path, models: ModelServer) -> None:
    assert tierline("features", "apply", amounts / "amounts.yaml").code == 0
    made = tierline("dataset", "build", "amounts", "--no-jobs", "--from", amounts / "rows.jsonl")
    assert made.code == 0, made.err
    models.answer = answering(lambda number: False)


def test_a_tier_that_answers_alike_is_compared_with_its_cost(tierline: Tierline) -> None:
    found = json.loads(tierline("eval", "amounts", "--json").out)
    small, large = found["tiers"]
    assert found["examples"] == small["right"] == large["right"] >= 20
    assert small["cost_usd"] != large["cost_usd"]
    assert small["latency_p50_s"] is not None
    (compared,) = found["compared"]
    assert (compared["ratio"], compared["verdict"]) == (1.0, "open")  # so few show so little
    assert compared["more_examples"] > 0
    shown = tierline("eval", "amounts", "--limit", 10)
    assert "10 test examples" in shown.out
    assert "more examples would settle it" in shown.out


def test_a_tier_that_is_wrong_is_shown_where_and_fails_what_ci_asks(
    tierline: Tierline,
    models: ModelServer,
    tmp_path: Path,
) -> None:
    models.answer = answering(lambda number: number % 2 == 0)
    junit = tmp_path / "eval.xml"
    ran = tierline("eval", "amounts", "--fail-under", "0.9", "--junit", junit)
    assert ran.code == 1
    assert "slm beside frontier: investigate" in ran.out
    assert 'expected {"amount"' in ran.out
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    case = suite.find("testcase")
    assert case is not None
    assert case.find("failure") is not None


def test_what_stands_in_a_prompt_is_not_asked(
    tierline: Tierline, amounts: Path, tmp_path: Path
) -> None:
    before = json.loads(tierline("eval", "amounts", "--json").out)["examples"]
    rows = [json.loads(line) for line in (amounts / "rows.jsonl").read_text().splitlines()]
    shown = [{"input": {"text": row["input"]}, "output": row["expected"]} for row in rows[:50]]
    file = tmp_path / "shown.yaml"
    file.write_text(AMOUNT.replace("tiers:", f"examples: {json.dumps(shown)}\ntiers:"))
    assert tierline("features", "apply", file).code == 0
    after = json.loads(tierline("eval", "amounts", "--json").out)["examples"]
    assert 0 < after < before


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--tiers", "slm"), 2, "two tiers are compared"),
        (("--tiers", "slm,mid"), 2, "has no tier 'mid'"),
        (("--fail-under", "2"), 2, "--fail-under is 2"),
        (("--dataset", "999"), 1, "no dataset 999"),
        (("--timeout", "1", "--limit", "5"), 2, "--limit"),
    ],
)
def test_what_cannot_be_asked(
    tierline: Tierline, arguments: tuple[str, ...], code: int, told: str
) -> None:
    ran = tierline("eval", "amounts", *arguments)
    assert ran.code == code, ran.err
    assert told in ran.err
    assert "Traceback" not in ran.err
