"""`tierline eval`: a real API, a worker, and scripted models at the network's far end."""

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.support.cli import Tierline
from tests.support.fake_servers.model_server import ModelServer
from tests.support.samples.amounts import AMOUNT, answering, write_rows
from tierline_client import Place, Transport

EXAMPLES = 150  # of which about a fifth tests


@pytest.fixture(scope="module")
def amounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("amounts")
    (folder / "amounts.yaml").write_text(AMOUNT)
    write_rows(folder / "rows.jsonl", EXAMPLES)
    return folder


@pytest.fixture(autouse=True)
def built(tierline: Tierline, amounts: Path, models: ModelServer) -> None:
    assert tierline("features", "apply", amounts / "amounts.yaml").code == 0
    made = tierline("dataset", "build", "amounts", "--no-jobs", "--from", amounts / "rows.jsonl")
    assert made.code == 0, made.err
    models.answer = answering(lambda number: False)


def test_a_tier_that_answers_alike_is_compared_with_its_cost(tierline: Tierline) -> None:
    made = json.loads(tierline("eval", "amounts", "--json").out)
    result = made["result"]
    small, large = result["tiers"]
    assert result["examples"] == small["right"] == large["right"] >= 20
    assert small["cost_usd"] != large["cost_usd"]
    assert small["latency_p50_s"] is not None
    assert (small["models"], large["models"]) == (["small-2026"], ["large-2026"])
    (compared,) = result["compared"]
    assert (compared["ratio"], compared["verdict"]) == (1.0, "open")  # so few show so little
    assert compared["more_examples"] > 0
    assert [one["field"] for one in result["fields"]] == ["amount"]
    assert {one["by"] for one in result["slices"]} == {"length"}
    shown = tierline("eval", "amounts", "--limit", 10)
    assert "10 test examples" in shown.out
    assert "more examples would decide 'ship'" in shown.out
    assert "more examples would decide 'default'" in shown.out
    assert "for one look it is" in shown.out


def test_a_tier_that_is_wrong_is_shown_where_and_fails_what_ci_asks(
    tierline: Tierline,
    models: ModelServer,
    tmp_path: Path,
) -> None:
    models.answer = answering(lambda number: number % 2 == 0)
    junit, png = tmp_path / "eval.xml", tmp_path / "eval.png"
    ran = tierline("eval", "amounts", "--fail-under", "0.9", "--junit", junit, "--png", png)
    assert ran.code == 1, ran.err
    assert "slm compared with frontier: investigate" in ran.out
    assert 'expected {"amount"' in ran.out
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    case = suite.find("testcase")
    assert case is not None
    assert case.find("failure") is not None
    assert png.read_bytes().startswith(b"\x89PNG")


def test_what_was_found_is_kept_and_says_when_it_is_stale(
    tierline: Tierline, amounts: Path, tmp_path: Path
) -> None:
    made = json.loads(tierline("eval", "amounts", "--json").out)
    again = json.loads(tierline("eval", "show", "amounts", made["id"], "--json").out)
    assert (again["result"], again["stale"]) == (made["result"], None)
    file = tmp_path / "changed.yaml"
    file.write_text(
        AMOUNT.replace("models: [openai:small]", "temperature: 0.5\n    models: [openai:small]")
    )
    assert tierline("features", "apply", file).code == 0
    again = json.loads(tierline("eval", "show", "amounts", made["id"], "--json").out)
    assert again["stale"] == "the prompt or settings of slm were changed since"
    assert "stale: the prompt or settings" in tierline("eval", "list", "amounts").out


def test_an_interrupted_one_goes_on_by_itself_and_nothing_is_asked_twice(
    tierline: Tierline, models: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.calls.clear()

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tierline.cli.improve.evidence.evaluate.time.sleep", interrupt)
    ran = tierline("eval", "amounts")
    assert ran.code == 130
    monkeypatch.undo()
    match = re.fullmatch(
        r"evaluation (\d+) continues: follow it with 'tierline eval follow amounts \1', "
        r"or cancel it with 'tierline eval cancel amounts \1'\n",
        ran.err,
    )
    assert match is not None, ran.err
    made = json.loads(tierline("eval", "follow", "amounts", match[1], "--json").out)
    assert (made["id"], made["status"]) == (match[1], "completed")
    calls = [(call.body["model"], call.last_message) for call in models.calls]
    assert len(calls) == len(set(calls)) == 2 * made["planned"]


def test_a_spent_budget_stops_it_and_more_lets_it_go_on(
    tierline: Tierline, models: ModelServer
) -> None:
    ran = tierline("eval", "amounts", "--max-usd", "0.01")
    assert ran.code == 1
    assert "with a higher --max-usd" in ran.err
    running = json.loads(tierline("eval", "list", "amounts", "--json").out)["data"][0]
    assert 0 < running["progress"]["ended"] < running["progress"]["of"]
    assert float(running["progress"]["cost_usd"]) <= 0.01
    assert running["progress"]["waits_for"] == "budget"
    other = tierline("eval", "amounts", "--limit", 10)
    assert (other.code, "is running with other options" in other.err) == (1, True)
    shown = tierline("eval", "show", "amounts", running["id"])
    assert (shown.code, f"tierline eval follow amounts {running['id']}'" in shown.err) == (1, True)
    made = json.loads(tierline("eval", "amounts", "--max-usd", "100", "--json").out)
    assert (made["id"], made["status"]) == (running["id"], "completed")


def test_a_client_of_release_0_1_may_still_step_it_and_is_told_until_when(
    tierline: Tierline, models: ModelServer, api: dict[str, str]
) -> None:
    made = json.loads(tierline("eval", "amounts", "--json").out)
    with Transport(Place(api["TIERLINE_URL"], api["TIERLINE_API_KEY"])) as client:
        place = f"/v1/features/amounts/evaluations/{made['id']}"
        stepped = client.send("POST", f"{place}/step")
        followed = client.send("GET", place)
    assert stepped.json() == followed.json()
    assert re.fullmatch(r"@[0-9]+", stepped.headers["Deprecation"])
    assert parsedate_to_datetime(stepped.headers["Sunset"]) > datetime(2027, 1, 1, tzinfo=UTC)
    assert "Deprecation" not in followed.headers


def test_one_that_runs_may_be_cancelled(tierline: Tierline, models: ModelServer) -> None:
    assert tierline("eval", "amounts", "--max-usd", "0.005").code == 1
    running = json.loads(tierline("eval", "list", "amounts", "--json").out)["data"][0]
    assert tierline("eval", "cancel", "amounts", running["id"]).code == 0
    ran = tierline("eval", "show", "amounts", running["id"])
    assert (ran.code, "it is cancelled" in ran.err) == (1, True)


def test_no_budget_is_kept_where_a_price_is_unknown(
    tierline: Tierline, amounts: Path, tmp_path: Path
) -> None:
    file = tmp_path / "unpriced.yaml"
    file.write_text(AMOUNT.replace("[openai:small]", "[openai:small, openai:other]"))
    assert tierline("features", "apply", file).code == 0
    ran = tierline("eval", "amounts", "--max-usd", "1")
    assert ran.code == 1
    assert "tier slm: openai:other has no price" in ran.err


def test_what_stands_in_a_prompt_is_not_asked(
    tierline: Tierline, amounts: Path, tmp_path: Path
) -> None:
    before = json.loads(tierline("eval", "amounts", "--json").out)["planned"]
    rows = [json.loads(line) for line in (amounts / "rows.jsonl").read_text().splitlines()]
    shown = [{"input": {"text": row["input"]}, "output": row["expected"]} for row in rows[:50]]
    file = tmp_path / "shown.yaml"
    file.write_text(AMOUNT.replace("tiers:", f"examples: {json.dumps(shown)}\ntiers:"))
    assert tierline("features", "apply", file).code == 0
    after = json.loads(tierline("eval", "amounts", "--json").out)
    assert 0 < after["planned"] < before
    assert after["left_out"] == {"in_prompt": before - after["planned"], "in_training": 0}


PRICED = """feature: priced
instructions: Say what it costs.
input: {type: object, required: [text], properties: {text: {type: string}}}
output: {type: string}
comparison: {kind: judge, model: "openai:judge", instructions: The amounts are the same.}
tiers:
  - {name: slm, models: [openai:small]}
  - {name: frontier, models: [openai:large]}
"""


def judging(body: Any) -> str:
    """The small model says it in other words, and of every third amount a wrong one; the judge goes
    by the amounts, and is fooled where 112 stands first.
    """
    last_message = body["messages"][-1]["content"]
    if body["model"] != "judge":
        number = int(re.findall(r"[0-9]+", last_message)[0])
        if body["model"] == "large":
            return f"The price is {number}"
        return f"That is {number + (number % 3 == 0)}, all in all"
    answers = json.loads(last_message[last_message.index("{") : last_message.rindex("}") + 1])
    first, second = (re.findall(r"[0-9]+", answers[key]) for key in ("a", "b"))
    return json.dumps({"same": first == second or first == ["112"]})


def test_free_text_is_judged_in_both_orders_by_who_is_not_told_whose_it_is(
    tierline: Tierline, models: ModelServer, tmp_path: Path
) -> None:
    file = tmp_path / "priced.yaml"
    file.write_text(PRICED)
    assert tierline("features", "apply", file).code == 0
    rows = tmp_path / "priced.jsonl"
    with rows.open("w") as sink:
        for number in range(100, 220):
            row = {"input": f"{number} of {number * 37}?", "expected": f"The price is {number}"}
            sink.write(json.dumps(row) + "\n")
    assert tierline("dataset", "build", "priced", "--no-jobs", "--from", rows).code == 0
    models.answer = judging
    models.calls.clear()
    bounded = tierline("eval", "priced", "--max-usd", "1")
    assert (bounded.code, "has no price, so no budget" in bounded.err) == (1, True)
    made = json.loads(tierline("eval", "priced", "--json").out)
    assert made["status"] == "completed"
    result = made["result"]
    small, large = result["tiers"]
    answered = {
        int(re.findall(r"[0-9]+", one.last_message)[0])
        for one in models.calls
        if one.body["model"] == "small"
    }
    assert large["quality"] == 1.0  # it says what is expected, and nobody is asked
    assert small["right"] == sum(number % 3 != 0 for number in answered)
    assert result["judge"] == {"model": "openai:judge", "judged": len(answered), "unread": 0}
    judge = [one for one in models.calls if one.body["model"] == "judge"]
    fooled = 111 in answered
    assert (
        len(judge) == len(answered) + small["right"] + fooled
    )  # again, what it held to be the same
    assert all("slm" not in one.last_message for one in judge)
    assert "openai:judge judged" in tierline("eval", "show", "priced", made["id"]).out


def test_flags_of_before_go_on_and_say_what_they_are_now(
    tierline: Tierline,
) -> None:
    ran = tierline("eval", "amounts", "--list")
    assert ran.code == 0, ran.err
    assert ran.err == (
        "eval --list is now 'tierline eval list amounts'; the old form goes with release 0.4\n"
    )
    assert tierline("eval", "list", "amounts").out == ran.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--tiers", "slm"), 1, "two tiers are compared"),
        (("--tiers", "slm,mid"), 1, "has no tier 'mid'"),
        (("--fail-under", "2"), 2, "--fail-under is 2"),
        (("--max-usd", "0"), 2, "--max-usd is 0"),
        (("--max-usd", "much"), 2, "give an amount"),
        (("--dataset", "999"), 1, "no dataset 999"),
        (("--show", "999999"), 1, "no evaluation 999999"),
        (("--list", "--show", "1"), 2, "give only one of"),
        (("--follow", "999999"), 1, "no evaluation 999999"),
        (("--limit", "5"), 2, "--limit"),
    ],
)
def test_what_cannot_be_asked(
    tierline: Tierline, arguments: tuple[str, ...], code: int, message: str
) -> None:
    ran = tierline("eval", "amounts", *arguments)
    assert ran.code == code, ran.err
    assert message in ran.err
    assert "Traceback" not in ran.err
