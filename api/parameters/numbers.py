"""Whole numbers in paths and queries: ASCII digits, as `tierline.base.digits` reads them.

Pydantic alone would accept `1_000` and ` 12 `. Bodies use JSON's own numbers.
"""

from typing import Any

from pydantic import BeforeValidator

from tierline.base import digits


def _whole(value: Any) -> Any:
    return digits.whole(value) if isinstance(value, str) else value


ASCII_DIGITS = BeforeValidator(_whole)
"""Put it last in an annotation: placed before the bounds, it would hide them in OpenAPI."""
