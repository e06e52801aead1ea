"""Prices by exact id, terms and date."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tierline.base.settings import settings
from tierline.features import ModelRef
from tierline.pricing import OwnPrices, Price, PricedCall, list_price, price_of

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ASKED = PricedCall(NOW)
PRICE = Price(Decimal("1.25"), Decimal("10"), Decimal("0.125"))
CHEAP = Price(Decimal("1"), Decimal("2"))


def ref(text: str) -> ModelRef:
    return ModelRef.parse(text)


def own(*dated: tuple[datetime, Price | None], terms: str = "") -> OwnPrices:
    return {("openai:gpt-5", terms): dated}


@pytest.fixture(autouse=True)
def at_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    settings.cache_clear()


@pytest.mark.parametrize("model", ["openai:gpt-5", "openai:gpt-5-2025-08-07"])
def test_a_listed_id_or_alias_has_its_price(model: str) -> None:
    assert price_of(ref(model), ASKED) == PRICE


@pytest.mark.parametrize(
    "model", ["openai:gpt-5-zzz", "openai:gpt-5 ", "anthropic:claude-haiku-4-5-zzz", "nobody:gpt-5"]
)
def test_an_id_that_nobody_sells_has_no_price(model: str) -> None:
    provider, _, name = model.partition(":")
    assert price_of(ModelRef(provider, name), ASKED) is None
    assert list_price(ModelRef(provider, name), NOW) is None


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:9/v1", "https://eu.api.openai.com/v1"])
def test_another_server_is_not_bound_by_the_list(
    base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", base_url)
    settings.cache_clear()
    assert price_of(ref("openai:gpt-5"), ASKED) is None
    assert price_of(ref("openai:gpt-5"), ASKED, {"openai:gpt-5": PRICE}) == PRICE
    assert price_of(ref("openai:gpt-5"), ASKED, own=own((NOW, PRICE))) == PRICE
    settings.cache_clear()


@pytest.mark.parametrize("service_tier", ["default", "standard", "", None])
def test_a_call_of_no_service_tier_has_the_standard_price(service_tier: str | None) -> None:
    assert price_of(ref("openai:gpt-5"), PricedCall(NOW, service_tier)) == PRICE


def test_a_service_tier_with_a_rate_of_its_own_has_that() -> None:
    flex = price_of(ref("openai:gpt-5"), PricedCall(NOW, "flex"))
    assert flex is not None
    assert flex.input_usd_per_mtok == Decimal("0.625")


def test_a_service_tier_without_a_rate_of_its_own_has_none() -> None:
    assert price_of(ref("openai:gpt-5"), PricedCall(NOW, "scale")) is None
    before_it_was_published = PricedCall(datetime(2026, 9, 1, tzinfo=UTC), "flex")
    assert price_of(ref("openai:gpt-5"), before_it_was_published) is None


def test_the_price_is_that_of_the_day_of_the_call() -> None:
    def luna_input(day: datetime) -> Decimal:
        price = price_of(ref("openai:gpt-5.6-luna"), PricedCall(day))
        assert price is not None
        return price.input_usd_per_mtok

    cut = datetime(2026, 7, 30, tzinfo=UTC)
    assert luna_input(cut - timedelta(microseconds=1)) == Decimal("1")
    assert luna_input(cut) == Decimal("0.2")


def test_a_features_price_goes_before_the_operators_and_that_before_the_list() -> None:
    in_file = Price(Decimal("7"), Decimal("8"))
    mine = own((NOW - timedelta(days=1), CHEAP))
    assert price_of(ref("openai:gpt-5"), ASKED, {"openai:gpt-5": in_file}, mine) == in_file
    assert price_of(ref("openai:gpt-5"), ASKED, own=mine) == CHEAP


def test_a_features_price_is_not_that_of_another_service_tier() -> None:
    flex = price_of(ref("openai:gpt-5"), PricedCall(NOW, "flex"), {"openai:gpt-5": CHEAP})
    assert flex is not None
    assert flex != CHEAP


def test_the_operators_price_holds_from_its_moment_on() -> None:
    mine = own((NOW + timedelta(hours=1), CHEAP))
    assert price_of(ref("openai:gpt-5"), ASKED, own=mine) == PRICE
    assert price_of(ref("openai:gpt-5"), PricedCall(NOW + timedelta(hours=1)), own=mine) == CHEAP


def test_the_operators_price_of_a_service_tier_is_for_that_tier() -> None:
    mine = own((NOW, CHEAP), terms="scale")
    assert price_of(ref("openai:gpt-5"), PricedCall(NOW, "scale"), own=mine) == CHEAP
    assert price_of(ref("openai:gpt-5"), ASKED, own=mine) == PRICE


def test_a_withdrawn_price_leaves_the_list() -> None:
    mine = own((NOW, None), (NOW - timedelta(days=1), CHEAP))
    assert price_of(ref("openai:gpt-5"), ASKED, own=mine) == PRICE


def test_a_local_models_tokens_are_free_unless_the_operator_says_otherwise() -> None:
    free = price_of(ref("local:small"), ASKED)
    assert free is not None
    assert free.input_usd_per_mtok == free.output_usd_per_mtok == 0
    mine: OwnPrices = {("local:small", ""): ((NOW, CHEAP),)}
    assert price_of(ref("local:small"), ASKED, own=mine) == CHEAP


@pytest.mark.parametrize(
    ("model", "paid"),
    [
        ("anthropic:claude-haiku-4-5-20251001", "1"),
        ("gemini:gemini-3.1-pro-preview", "2"),
        ("vertex:gemini-3.1-pro-preview", "2"),
        ("mistral:mistral-small-2603", "0.15"),
    ],
)
def test_each_seller_has_its_own_list(
    model: str, paid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "MISTRAL_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    price = price_of(ref(model), ASKED)
    assert price is not None
    assert price.input_usd_per_mtok == Decimal(paid)


def test_a_regional_vertex_address_has_no_list_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "europe-west4")
    settings.cache_clear()
    assert price_of(ref("vertex:gemini-3.1-pro-preview"), ASKED) is None
    settings.cache_clear()


def test_the_price_is_that_of_the_model_that_answered_where_the_list_knows_it() -> None:
    moved = PricedCall(NOW, None, "gemini-3.6-flash")
    price = price_of(ref("gemini:gemini-3.5-flash"), moved)
    assert price == price_of(ref("gemini:gemini-3.6-flash"), ASKED)
    unknown = PricedCall(NOW, None, "deployment-7")
    assert price_of(ref("openai:gpt-5"), unknown) == PRICE
