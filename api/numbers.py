"""Whole numbers of paths and queries: ASCII digits, as `tierline.base.digits` reads them.

Pydantic alone would read `1_000` and ` 12 `. In a body, JSON's own numbers are asked for.
"""

from typing import Any

from pydantic import BeforeValidator

from tierline.base import digits


def _whole(value: Any) -> Any:
    return digits.whole(value) if isinstance(value, str) else value


ASCII_DIGITS = BeforeValidator(_whole)
"""Stands last in an annotation: before its bounds, OpenAPI would not tell them."""
