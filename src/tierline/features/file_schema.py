"""A JSON Schema of the feature file, for editors (yaml-language-server).

It is made from the parser's own keys and limits: a key that the parser has and this file does not
is an error at once. It finds misspelt keys and wrong kinds while people write. What depends on more
than one place, `tierline features validate` finds.
"""

from collections.abc import Mapping, Sequence
from typing import get_args

from tierline.base.json_text import JSON
from tierline.features import parse
from tierline.features.comparison import KINDS
from tierline.features.model import CALIBRATED, EFFORTS, SERVICE_TIERS, Signal
from tierline.features.openai_options import TREATMENTS
from tierline.features.parsing import (
    parse_cases,
    parse_check_kinds,
    parse_checks,
    parse_comparison,
    parse_openai,
    parse_retention,
    parse_routing,
    parse_steps,
    parse_tier_prices,
    parse_tiers,
)

DIALECT = "http://json-schema.org/draft-07/schema#"  # what editors read best
_TEXT: dict[str, JSON] = {"type": "string"}
_FLAG: dict[str, JSON] = {"type": "boolean"}
_SCHEMA: dict[str, JSON] = {"type": "object", "description": "A JSON Schema"}
_SHARE: dict[str, JSON] = {"type": "number", "minimum": 0, "maximum": 1}


def file_schema() -> dict[str, JSON]:
    """The schema. Raises KeyError if the parser has keys that are not described here."""
    return {
        "$schema": DIALECT,
        "title": "tierline feature file",
        **_object(parse.REQUIRED, parse.OPTIONAL, _top()),
        "definitions": {
            "check": _check(),
            "confidence": _object(
                ("signal", "threshold"), parse_tiers.CONFIDENCE_KEYS, _CONFIDENCE
            ),
            "example": _object(("input", "output"), (), {"input": {}, "output": {}}),
            "step": _object(parse_steps.STEP_REQUIRED, parse_steps.STEP_OPTIONAL, _STEP),
            "tier": _object(parse_tiers.TIER_REQUIRED, parse_tiers.TIER_OPTIONAL, _tier()),
        },
    }


def _object(
    required: Sequence[str], optional: Sequence[str], described: Mapping[str, JSON]
) -> dict[str, JSON]:
    """A closed object with exactly these keys."""
    keys = tuple(dict.fromkeys((*required, *optional)))
    unknown = described.keys() - set(keys)
    if unknown:
        raise KeyError(f"the parser has no key {', '.join(sorted(unknown))}")
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": {key: described[key] for key in keys},
    }


def _many(item: JSON, most: int, least: int = 0) -> dict[str, JSON]:
    return {"type": "array", "minItems": least, "maxItems": most, "items": item}


def _ref(name: str) -> dict[str, JSON]:
    return {"$ref": f"#/definitions/{name}"}


def _integer(least: int, most: int) -> dict[str, JSON]:
    return {"type": "integer", "minimum": least, "maximum": most}


_EXAMPLES = _many(_ref("example"), parse_checks.MAX_EXAMPLES)
_CHECKS = _many(_ref("check"), parse_checks.MAX_CHECKS)
_INSTRUCTIONS = {
    **_TEXT,
    "minLength": 1,
    "maxLength": parse_steps.MAX_INSTRUCTIONS,
    "description": "What every model is told",
}
_CONFIDENCE: dict[str, JSON] = {
    "signal": {"enum": list(get_args(Signal))},
    "threshold": {"anyOf": [_SHARE, {"const": CALIBRATED}]},
    "samples": _integer(2, parse_tiers.MAX_SAMPLES),
    "temperature": {"type": "number"},
    "verify": _FLAG,
}
_STEP: dict[str, JSON] = {
    "name": _TEXT,
    "instructions": _INSTRUCTIONS,
    "output": _SCHEMA,
    "examples": _EXAMPLES,
    "checks": _CHECKS,
    "max_tokens": _integer(1, parse_tiers.MAX_TOKENS),
}


def _top() -> dict[str, JSON]:
    days = {"type": "number", "minimum": 0.01, "maximum": 3650}
    return {
        "feature": {"type": "string", "pattern": f"^{parse.NAME.pattern}$"},
        "description": {"type": "string", "maxLength": parse.MAX_DESCRIPTION},
        "instructions": _INSTRUCTIONS,
        "input": {**_SCHEMA, "description": "JSON Schema of a job's input"},
        "output": {**_SCHEMA, "description": "JSON Schema of the answer; type string: plain text"},
        "tiers": {
            **_many(_ref("tier"), parse_tiers.MAX_TIERS, 1),
            "description": "Who answers, cheapest first",
        },
        "examples": _EXAMPLES,
        "checks": {**_CHECKS, "description": "Checks beyond the schema, in order"},
        "confidence": _ref("confidence"),
        "routing": {"enum": list(parse_routing.ROUTINGS), "default": "slm_first"},
        "pinned": {"type": "object", "additionalProperties": _TEXT},
        "canary": _object(("tier", "share"), (), {"tier": _TEXT, "share": _SHARE}),
        "status_label": {"type": ["string", "object"], "additionalProperties": _TEXT},
        "on_blocked": {"enum": list(parse.BLOCKED), "default": "fail"},
        "retention": _object(
            (),
            parse_retention.KEYS,
            {"inputs_days": days, "outputs_days": days, "keep_labelled": _FLAG},
        ),
        "residency": _many(_TEXT, parse.MAX_REGIONS, 1),
        "cases": _many(_case(), parse_cases.MAX_CASES),
        "openai": _object(
            (),
            parse_openai.KEYS,
            {name: {"enum": list(TREATMENTS), "default": "refuse"} for name in parse_openai.KEYS},
        ),
        "comparison": _comparison(),
        "shadow": _object(
            ("share",), ("usd_per_day",), {"share": _SHARE, "usd_per_day": {"type": "number"}}
        ),
        "complexity": _object(
            ("max_risk",), ("longest",), {"max_risk": _SHARE, "longest": {"type": "integer"}}
        ),
        "latency_target_ms": _integer(1, parse.MOST_LATENCY_TARGET_MS),
        "refresh_days": _integer(1, parse.MOST_REFRESH_DAYS),
    }


def _check() -> dict[str, JSON]:
    by_path = {"type": "object", "minProperties": 1}
    values = _many({}, parse_check_kinds.MOST_VALUES, 1)
    described: dict[str, JSON] = {
        "grounded": {
            **_many(_TEXT, 100, 1),
            "description": "Paths of values that must stand in the input",
        },
        "rule": {**_TEXT, "description": "CEL over input and output"},
        "one_of": {**by_path, "additionalProperties": values},
        "matches": {**by_path, "additionalProperties": _TEXT},
        "custom": {**_TEXT, "description": "The name of a check in TIERLINE_CHECKS"},
        "says": {"type": "string", "maxLength": parse_checks.MAX_SAYS},
    }
    one = [{"required": [kind]} for kind in parse_checks.CHECK_KINDS]
    return {**_object((), (*parse_checks.CHECK_KINDS, "says"), described), "oneOf": one}


def _case() -> dict[str, JSON]:
    described: dict[str, JSON] = {
        "name": _TEXT,
        "input": {},
        "says": _TEXT,
        "expected": {},
        "rule": _TEXT,
        "served": {"const": False},
    }
    return _object(("input",), ("name", "says", *parse_cases.CASE_KINDS), described)


def _comparison() -> dict[str, JSON]:
    keys = {key for named in parse_comparison.COMPARISON_KEYS.values() for key in named}
    described: dict[str, JSON] = {
        "kind": {"enum": list(KINDS)},
        "tolerance": {"type": "number", "minimum": 0},
        "items": _TEXT,
        "fields": {"type": "object"},
        "model": _TEXT,
        "instructions": _TEXT,
    }
    written_out = _object(("kind",), sorted(keys - {"kind"}), described)
    return {"anyOf": [{"enum": list(KINDS)}, written_out]}


def _tier() -> dict[str, JSON]:
    prices = (*parse_tier_prices.PRICE_REQUIRED, *parse_tier_prices.PRICE_OPTIONAL)
    amounts: dict[str, JSON] = {key: {"type": ["number", "string"]} for key in prices}
    price = _object(parse_tier_prices.PRICE_REQUIRED, parse_tier_prices.PRICE_OPTIONAL, amounts)
    return {
        "name": _TEXT,
        "models": {
            **_many(_TEXT, parse_tiers.MAX_MODELS, 1),
            "description": "provider:model, in order of fallback",
        },
        "max_tokens": _integer(1, parse_tiers.MAX_TOKENS),
        "timeout_s": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": parse_tiers.MAX_TIMEOUT_S,
        },
        "temperature": {"type": "number"},
        "reasoning_effort": {"enum": list(EFFORTS)},
        "service_tier": {"enum": list(SERVICE_TIERS)},
        "instructions": _INSTRUCTIONS,
        "examples": _EXAMPLES,
        "steps": _many(_ref("step"), parse_steps.MAX_STEPS, 1),
        "join_steps": _FLAG,
        "reask": _FLAG,
        "confidence": _ref("confidence"),
        "prices": {"type": "object", "additionalProperties": price},
    }
