"""Prices by exact id and date, and costs to the last digit."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tierline.features import ModelRef, Price
from tierline.pricing import cost_usd, list_price, price_of
from tierline.providers.types import Usage
from tierline.settings import settings

NOW = datetime(2026, 11, 1, tzinfo=UTC)
PRICE = Price(Decimal("1.25"), Decimal("10"), Decimal("0.125"))


def ref(text: str) -> ModelRef:
    return ModelRef.parse(text)


@pytest.fixture(autouse=True)
def at_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    settings.cache_clear()


def test_a_listed_model_has_its_price() -> None:
    assert price_of(ref("openai:gpt-5"), NOW) == PRICE


@pytest.mark.parametrize(
    "model", ["openai:gpt-5-zzz", "openai:gpt-5 ", "anthropic:claude-haiku-4-5-zzz", "nobody:gpt-5"]
)
def test_an_id_that_nobody_sells_has_no_price(model: str) -> None:
    provider, _, name = model.partition(":")
    assert price_of(ModelRef(provider, name), NOW) is None
    assert list_price(ModelRef(provider, name), NOW) is None


def test_another_server_is_not_bound_by_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    settings.cache_clear()
    assert price_of(ref("openai:gpt-5"), NOW) is None
    assert price_of(ref("openai:gpt-5"), NOW, {"openai:gpt-5": PRICE}) == PRICE
    settings.cache_clear()


def test_a_features_own_price_goes_first() -> None:
    own = Price(Decimal("1"), Decimal("2"))
    assert price_of(ref("openai:gpt-5"), NOW, {"openai:gpt-5": own}) == own


def test_a_local_models_tokens_are_free() -> None:
    assert cost_usd(Usage(1000, 1000), price_of(ref("local:small"), NOW)) == 0


def test_a_cost_is_exact() -> None:
    assert cost_usd(Usage(1, 1, 1), PRICE) == Decimal("0.000011375")


def test_reasoning_costs_what_output_costs() -> None:
    assert cost_usd(Usage(0, 1, reasoning_tokens=9), PRICE) == Decimal("0.0001")


def test_what_was_written_to_a_cache_is_of_unknown_cost_without_a_rate_of_its_own() -> None:
    assert cost_usd(Usage(1, 1, cache_write_5m_tokens=1), PRICE) is None
    assert cost_usd(Usage(1, 1, cache_write_1h_tokens=1), PRICE) is None


def test_cached_tokens_without_a_rate_cost_what_input_costs() -> None:
    price = Price(Decimal("2"), Decimal("4"))
    assert cost_usd(Usage(10, 0, 90), price) == Decimal("0.0002")


@pytest.mark.parametrize(
    ("usage", "price"),
    [(None, PRICE), (Usage(1, 1), None), (Usage(None, 1), PRICE), (Usage(1, None), PRICE)],
)
def test_a_cost_with_an_unknown_part_is_unknown_and_not_zero(
    usage: Usage | None, price: Price | None
) -> None:
    assert cost_usd(usage, price) is None
