"""What of an Anthropic answer decides on its price besides the tokens."""

from typing import Any

import pytest

from tierline.providers.anthropic import service_tier_of


@pytest.mark.parametrize(
    ("usage", "tier"),
    [
        ({"service_tier": "standard", "inference_geo": "global"}, "standard"),
        ({"service_tier": "standard", "inference_geo": "not_available"}, "standard"),
        ({"service_tier": "priority"}, "priority"),
        ({"service_tier": "standard", "speed": "fast"}, "fast"),
        ({"service_tier": "standard", "inference_geo": "us"}, "us"),
        ({}, None),
    ],
)
def test_a_speed_or_a_region_of_its_own_has_a_price_of_its_own(
    usage: dict[str, Any], tier: str | None
) -> None:
    assert service_tier_of(usage) == tier
