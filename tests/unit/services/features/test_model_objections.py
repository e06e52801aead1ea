"""What the catalogue has against a model, said when a feature is applied."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.support.samples.features import TRIAGE
from tierline import providers
from tierline.base.settings import settings
from tierline.features import Feature, ModelRef
from tierline.features.model import SAMPLE_TEMPERATURE, Confidence
from tierline.features.parse import parse_feature
from tierline.services.features.model_objections import objections
from tierline.services.features.resolve_class import resolve_classes

NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture(autouse=True)
def at_openai(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("TIERLINE_LOCAL_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody")
    settings.cache_clear()
    providers.close()
    yield monkeypatch
    settings.cache_clear()
    providers.close()


def feature(**changes: object) -> Feature:
    return replace(parse_feature(TRIAGE), **{"confidence": None} | changes)  # type: ignore[arg-type]


def against(
    model: str, given_feature: Feature | None = None, **tier: object
) -> list[tuple[bool, str]]:
    given_feature = given_feature or feature()
    one = replace(given_feature.tiers[0], **tier)  # type: ignore[arg-type]
    problems = objections(given_feature, one, ModelRef.parse(model), NOW.date())
    return [(objection.refused, objection.message) for objection in problems]


def test_a_model_that_can_do_it_has_nothing_against_it() -> None:
    assert against("openai:gpt-6-luna") == []


def test_a_retired_model_is_refused_with_its_successor() -> None:
    ((refused, message),) = against("openai:gpt-4o-2024-05-13")
    assert refused
    assert message == (
        "openai:gpt-4o-2024-05-13 was retired on 2026-10-23; in its place: openai:gpt-5.6-sol"
    )


def test_a_model_that_retires_soon_is_said_with_its_successor() -> None:
    ((refused, message),) = against("openai:gpt-5")
    assert not refused
    assert message == (
        "openai:gpt-5 retires on 2026-12-11, in 16 days; in its place: openai:gpt-6.1-sol"
    )


def test_more_output_than_a_model_makes_is_refused() -> None:
    ((refused, message),) = against("openai:gpt-6-luna", max_tokens=200_000)
    assert refused
    assert "at most 128,000 tokens" in message


def test_a_prompt_that_fills_the_context_is_refused() -> None:
    long = feature(instructions="word " * 4_000)
    ((refused, message),) = against("local:smollm2-135m", long)
    assert refused
    assert "4,096 tokens of context" in message


def test_an_input_that_may_not_fit_is_said() -> None:
    schema = {"type": "object", "properties": {"text": {"type": "string", "maxLength": 90_000}}}
    ((refused, message),) = against("local:smollm2-135m", feature(input_schema=schema))
    assert not refused
    assert "the longest input" in message


def test_another_server_behind_the_setting_is_not_bound(
    at_openai: pytest.MonkeyPatch,
) -> None:
    at_openai.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    settings.cache_clear()
    assert against("openai:gpt-4o-2024-05-13") == []


def test_a_model_that_may_run_anywhere_is_refused_where_a_region_is_asked() -> None:
    ((refused, message),) = against("openai:gpt-6-luna", feature(residency=("eu",)))
    assert refused
    assert "may run anywhere" in message


def test_a_regional_address_is_where_its_calls_run(at_openai: pytest.MonkeyPatch) -> None:
    at_openai.setenv("OPENAI_BASE_URL", "https://eu.api.openai.com/v1")
    settings.cache_clear()
    assert against("openai:gpt-6-luna", feature(residency=("eu",))) == []
    ((refused, message),) = against("openai:gpt-6-luna", feature(residency=("us",)))
    assert refused
    assert "runs in eu" in message


def test_a_server_of_ones_own_runs_where_its_owner_put_it() -> None:
    assert against("local:smollm2-135m", feature(residency=("eu",))) == []


def chosen(text: str, given_feature: Feature | None = None) -> tuple[str | None, tuple[str, ...]]:
    given_feature = given_feature or feature()
    tier = replace(given_feature.tiers[0], models=(ModelRef.parse(text),), confidence=None)
    _, (one,) = resolve_classes(replace(given_feature, tiers=(tier,), confidence=None), {}, NOW)
    return (None if one.model is None else str(one.model)), one.why_not


def test_a_class_is_the_cheapest_model_of_it_that_can_do_it() -> None:
    model, why_not = chosen("class:small")
    assert model == "openai:gpt-6-luna"
    assert any("gpt-4o-mini-2024-07-18 retires on 2027-01-14" in one for one in why_not)


def test_a_class_is_pinned_to_an_exact_id_in_its_place() -> None:
    one = feature()
    models = (ModelRef.parse("class:small"), ModelRef.parse("local:smollm2-135m"))
    tier = replace(one.tiers[0], models=models)
    pinned, _ = resolve_classes(replace(one, tiers=(tier,), confidence=None), {}, NOW)
    assert [str(model) for model in pinned.tiers[0].models] == [
        "openai:gpt-6-luna",
        "local:smollm2-135m",
    ]


def test_a_class_twice_is_two_models() -> None:
    one = feature()
    models = (ModelRef.parse("class:small"), ModelRef.parse("class:small"))
    tier = replace(one.tiers[0], models=models)
    pinned, _ = resolve_classes(replace(one, tiers=(tier,), confidence=None), {}, NOW)
    first, second = pinned.tiers[0].models
    assert first != second


def test_a_class_without_a_key_is_none_and_says_what_is_missing(
    at_openai: pytest.MonkeyPatch,
) -> None:
    at_openai.delenv("OPENAI_API_KEY")
    settings.cache_clear()
    providers.close()
    model, why_not = chosen("class:small")
    assert model is None
    assert "openai: OPENAI_API_KEY is not set" in why_not


def test_a_class_stays_in_its_region() -> None:
    model, why_not = chosen("class:small", feature(residency=("eu",)))
    assert model is None
    assert "openai runs outside eu" in why_not


def test_a_local_model_stands_for_its_class_where_it_is_served(
    at_openai: pytest.MonkeyPatch,
) -> None:
    assert chosen("class:micro")[0] is None
    at_openai.setenv("TIERLINE_LOCAL_URL", "smollm2-135m=http://127.0.0.1:9/v1")
    settings.cache_clear()
    providers.close()
    assert chosen("class:micro")[0] == "local:smollm2-135m"


def confident(signal: str, **more: object) -> Feature:
    return feature(confidence=Confidence(signal, 0.9, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["openai:gpt-6-luna", "anthropic:claude-haiku-4-5"])
def test_probabilities_that_a_model_does_not_tell_are_refused(model: str) -> None:
    one = confident("label_logprob")
    assert any(
        refused and "gives no token probabilities" in message
        for refused, message in against(model, one)
    )
    assert against("local:smollm2-135m", one) == []


def test_a_temperature_that_a_model_does_not_take_is_refused() -> None:
    ((refused, message),) = against("openai:gpt-6-luna", temperature=0.3)
    assert refused
    assert "accepts only its own temperature" in message
    assert against("local:smollm2-135m", temperature=0.3) == []


@pytest.mark.parametrize(
    ("model", "asked", "only"),
    [
        ("openai:gpt-4o-mini", {"reasoning_effort": "low"}, "none that is known"),
        ("anthropic:claude-haiku-4-5", {"reasoning_effort": "low"}, "none that is known"),
        ("anthropic:claude-opus-5", {"reasoning_effort": "none"}, "only low, medium, high"),
        ("gemini:gemini-2.5-flash", {"reasoning_effort": "low"}, "none that is known"),
        ("gemini:gemini-3.5-flash", {"service_tier": "auto"}, "only flex, priority, standard"),
        ("anthropic:claude-opus-5", {"service_tier": "flex"}, "only standard, auto"),
        ("azure:gpt-5", {"service_tier": "flex"}, "none that is known"),
        ("local:smollm2-135m", {"service_tier": "flex"}, "none that is known"),
    ],
)
def test_an_effort_or_a_service_tier_that_a_model_does_not_take_is_refused(
    model: str, asked: dict[str, str], only: str
) -> None:
    ((key, requested),) = asked.items()
    refused = [message for refused, message in against(model, **asked) if refused]
    assert any(
        message.startswith(f"{model} does not take the {key} {requested}, {only}")
        for message in refused
    ), refused


def test_an_effort_and_a_service_tier_that_a_model_takes_are_no_objection() -> None:
    assert against("openai:gpt-6-luna", reasoning_effort="low", service_tier="flex") == []


def test_samples_may_be_drawn_at_the_only_temperature_that_a_model_has() -> None:
    usual = confident("agreement", samples=3, temperature=SAMPLE_TEMPERATURE)
    assert against("openai:gpt-6-luna", usual) == []
    ((refused, _),) = against(
        "openai:gpt-6-luna", confident("agreement", samples=3, temperature=0.2)
    )
    assert refused


def test_a_superseded_model_does_not_stand_for_its_class(at_openai: pytest.MonkeyPatch) -> None:
    at_openai.delenv("OPENAI_API_KEY")
    at_openai.setenv("MISTRAL_API_KEY", "nobody")
    settings.cache_clear()
    providers.close()
    model, why_not = chosen("class:small", feature(output_schema={"type": "string"}, checks=()))
    assert model == "mistral:ministral-8b-2512"
    assert any("is superseded by mistral:mistral-small-2603" in one for one in why_not)


def test_each_sellers_own_address_has_its_prices_and_facts() -> None:
    for model in ("anthropic:claude-opus-4-20250514", "openai:gpt-4o-2024-05-13"):
        assert [refused for refused, _ in against(model)][-1] is True


def test_a_class_that_is_to_tell_probabilities_is_a_model_that_does(
    at_openai: pytest.MonkeyPatch,
) -> None:
    at_openai.setenv("MISTRAL_API_KEY", "k")
    settings.cache_clear()
    providers.close()
    one = confident("label_logprob")
    tiers = (replace(one.tiers[0], models=(ModelRef.parse("class:small"),)), *one.tiers[1:])
    _, chosen = resolve_classes(replace(one, tiers=tiers), {}, NOW)
    assert str(chosen[0].model) == "mistral:ministral-8b-2512"
    assert any("gpt-6-luna gives no token probabilities" in reason for reason in chosen[0].why_not)


@pytest.mark.parametrize(
    ("model", "taken", "refused"),
    [
        ("openai:gpt-5", ("minimal", "high"), ("none", "xhigh")),
        ("openai:gpt-5.1", ("none", "high"), ("minimal", "xhigh")),
        ("openai:gpt-5.4", ("none", "xhigh"), ("minimal", "max")),
        ("openai:gpt-5.6-luna", ("none", "max"), ("minimal",)),
        ("openai:gpt-5.3-codex", ("low", "xhigh"), ("none", "minimal")),
        ("openai:gpt-5-pro", ("high",), ("low", "none")),
        ("openai:o3", ("low", "high"), ("none", "minimal", "xhigh")),
        ("openai:gpt-4o", (), ("low",)),
        ("anthropic:claude-opus-4-5", ("low", "high"), ("xhigh", "max")),
        ("anthropic:claude-sonnet-4-6", ("max",), ("xhigh", "none")),
        ("anthropic:claude-sonnet-5", ("xhigh", "max"), ("none", "minimal")),
        ("anthropic:claude-haiku-4-5", (), ("low",)),
        ("gemini:gemini-3-flash-preview", ("minimal", "medium"), ("none", "xhigh")),
        ("gemini:gemini-3-pro-preview", ("low", "high"), ("medium", "minimal")),
        ("gemini:gemini-3.1-pro-preview", ("low", "medium"), ("minimal",)),
        ("gemini:gemini-2.5-flash", (), ("low",)),
        ("mistral:mistral-small-2603", ("none", "high"), ("low", "medium")),
        ("mistral:mistral-large-2512", (), ("high",)),
    ],
)
def test_each_line_of_models_takes_its_own_efforts(
    model: str, taken: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    def told(effort: str) -> list[str]:
        return [why for _, why in against(model, reasoning_effort=effort) if effort in why]

    assert [effort for effort in taken if told(effort)] == []
    assert [effort for effort in refused if not told(effort)] == []
