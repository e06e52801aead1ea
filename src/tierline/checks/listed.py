"""Checks of single values without a rule: `one_of` a list, and `matches` a pattern.

Patterns are those of JSON Schema, read by an engine whose time grows with the text's length only;
lookaround and backreferences are refused when a feature is read.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import jsonschema_rs

from tierline.base.json_text import JSON, canonical_json, short
from tierline.checks.grounding import values_at
from tierline.checks.work import Work

SHOWN = 10  # allowed values in a message
_A_STEP = 100  # characters that a pattern reads, or that are compared, in a step of work


def not_one_of(allowed: Mapping[str, Sequence[JSON]], output: JSON, work: Work) -> list[str]:
    """What is wrong, by field: a value that its list does not have. 1 equals 1.0.

    Raises TooMuch.
    """
    faults = []
    for field, values in allowed.items():
        allowed_texts = {canonical_json(value) for value in values}
        for value in values_at(output, field):
            text = canonical_json(value)
            work.spend(1 + len(text) // _A_STEP)
            if text not in allowed_texts:
                shown = ", ".join(canonical_json(one)[:60] for one in values[:SHOWN])
                more = "" if len(values) <= SHOWN else f" and {len(values) - SHOWN} more"
                faults.append(f"{field}: the value is not one of {shown}{more}")
                break
    return faults


def not_matching(patterns: Mapping[str, str], output: JSON, work: Work) -> list[str]:
    """What is wrong, by field: a text that does not match its pattern as a whole, or a value that
    is no text. Null passes: the schema says where a value is required.

    Raises TooMuch.
    """
    faults = []
    for field, pattern in patterns.items():
        compiled = compiled_pattern(pattern)
        for value in values_at(output, field):
            if value is None:
                continue
            if isinstance(value, str):
                work.spend(1 + len(value) // _A_STEP)
                if compiled.is_valid(value):
                    continue
            faults.append(f"{field}: the value does not match {short(pattern)}")
            break
    return faults


@lru_cache(maxsize=1024)
def compiled_pattern(pattern: str) -> jsonschema_rs.Draft202012Validator:
    """The pattern for whole texts. Raises ValueError if it cannot be read, or looks around."""
    try:
        return jsonschema_rs.Draft202012Validator(
            {"pattern": f"^(?:{pattern})$"},
            pattern_options=jsonschema_rs.RegexOptions(),
            offline=True,
        )
    except jsonschema_rs.ValidationError as error:
        raise ValueError(str(error.message)) from None
