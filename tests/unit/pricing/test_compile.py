"""The compiled list against the library it is from. The product itself never imports the library
(tests/system/test_lean_start.py).
"""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices import calc_price, data

from tierline.base.usage import Usage
from tierline.pricing import cost_usd
from tierline.pricing.compile import compiled
from tierline.pricing.listed import FILE, edition, listed

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
TABLE = json.loads(FILE.read_bytes())


def test_the_list_is_what_the_installed_library_says() -> None:
    """When it is not: `python -m tierline.pricing.compile`."""
    _, compiled_on = edition()
    assert compiled(compiled_on) == TABLE


@pytest.mark.parametrize(
    ("seller", "model"),
    [
        ("openai", "gpt-5"),
        ("openai", "gpt-6.1-sol"),
        ("openai", "gpt-4o-mini"),
        ("anthropic", "claude-opus-5-5"),
        ("anthropic", "claude-haiku-5-5"),
        ("google", "gemini-3.1-pro-preview"),
        ("google", "gemini-3.8-flash"),
        ("mistral", "mistral-large-4"),
    ],
)
@pytest.mark.parametrize("fresh", [1_000, 150_000, 300_000])
@pytest.mark.parametrize("days", [0, 45, -200])
def test_a_cost_is_the_librarys_to_the_last_digit(
    seller: str, model: str, fresh: int, days: int
) -> None:
    at = NOW + timedelta(days=days)
    mine = cost_usd(Usage(fresh, 700, 300), listed(seller, model, at))
    usage = TheirUsage(input_tokens=fresh + 300, output_tokens=700, cache_read_tokens=300)
    theirs = calc_price(usage, model, provider_id=seller, genai_request_timestamp=at)
    assert mine == Decimal(theirs.total_price)


def test_no_id_is_listed_by_a_prefix() -> None:
    for provider in data.providers:
        if provider.id in TABLE["sellers"]:
            models = TABLE["sellers"][provider.id]["models"]
            assert f"{provider.models[0].id}-zzz" not in models


def test_a_variant_that_names_no_cached_rate_has_none() -> None:
    batch = listed("openai", "gpt-4o", NOW, "batch")
    assert batch is not None
    assert batch.cached_input_usd_per_mtok is None
