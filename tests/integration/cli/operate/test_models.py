"""`tierline models list` against a real API."""

import json

from tests.support.cli import Tierline


def test_the_catalogue_is_listed_by_class(tierline: Tierline) -> None:
    ran = tierline("models", "list", "--class", "frontier")
    assert ran.code == 0, ran.err
    assert "openai:gpt-6.1-sol" in ran.out
    assert "gpt-4o-mini" not in ran.out
    assert "Usual: frontier $2-30" in ran.err


def test_an_alias_and_a_familys_name_find_a_model(tierline: Tierline) -> None:
    for name in ("gpt-4o", "GPT-4o"):
        models = json.loads(tierline("models", "list", name, "--json").out)["data"]
        assert "openai:gpt-4o-2024-08-06" in [item["model"] for item in models]


def test_a_family_that_nobody_sells_has_no_id_and_a_nearest(tierline: Tierline) -> None:
    every = json.loads(tierline("models", "list", "--class", "small", "--json").out)["data"]
    (haiku,) = [item for item in every if item["family"] == "Claude Haiku 4"]
    assert haiku["model"] is None
    assert haiku["id"] is None
    assert haiku["nearest"] == "anthropic:claude-haiku-4-5-20251001"


def test_a_model_that_ends_tells_when_and_what_comes_after(tierline: Tierline) -> None:
    answer = json.loads(tierline("models", "list", "gpt-5-2025-08-07", "--json").out)["data"]
    (gpt_5,) = answer
    assert (gpt_5["retires"], gpt_5["successor"]) == ("2026-12-11", "openai:gpt-6.1-sol")
    assert gpt_5["sources"]["lifecycle"]["url"].startswith("https://")
    assert gpt_5["sources"]["lifecycle"]["read"] == "2026-11-25"


def test_what_features_use_comes_first_with_its_features(tierline: Tierline, feature: str) -> None:
    ran = tierline("models", "list", "--used", "--json")
    models = json.loads(ran.out)["data"]
    assert models[0]["model"] == "local:smollm2-135m"
    assert feature in models[0]["features"]
    assert tierline("models", "list").out.splitlines()[1].startswith("local:smollm2-135m")


def test_an_unknown_class_is_one_line(tierline: Tierline) -> None:
    ran = tierline("models", "list", "--class", "huge")
    assert ran.code == 2
    assert "there is no class 'huge'" in ran.err
