"""The features of the mix, and what their models cost, as the books reckon it again."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

ECHO = "parcel-mark"  # reads the mark out of the input; asks again before escalating
AGREED = "parcel-agreed"  # … by two samples that agree
SORTED = "parcel-shelf"  # a label by its score
LETTER = "letter-mark"  # like the first, from texts as long as a body may be
LABELS = ("attic", "cellar", "garage", "pantry")

TIMEOUT_S = 60  # of a call: longer than any outage here, so that only a kill cuts calls
PRICES = {  # USD per million tokens in and out
    "small": (Decimal("0.30"), Decimal("1.20")),
    "large": (Decimal("7"), Decimal("31")),
}

LONGEST = {LETTER: 1_000_000}  # characters of an input's text
USUAL = 200
_INPUT = """\
input:
  type: object
  additionalProperties: false
  required: [text]
  properties: {{text: {{type: string, maxLength: {most}}}}}
"""
_MARK_OUTPUT = """\
output:
  type: object
  additionalProperties: false
  required: [mark]
  properties: {mark: {type: string}}
checks:
  - grounded: [mark]
"""
_SHELF_OUTPUT = f"""\
output:
  type: object
  additionalProperties: false
  required: [shelf]
  properties: {{shelf: {{type: string, enum: [{", ".join(LABELS)}]}}}}
"""


def _tier(name: str, model: str, more: str = "") -> str:
    paid, made = PRICES[model]
    return f"""\
  - name: {name}
    models: [openai:{model}]
    max_tokens: 50
    timeout_s: {TIMEOUT_S}
    prices:
      openai:{model}: {{input_usd_per_mtok: {paid}, output_usd_per_mtok: {made}}}
{more}"""


def _feature(name: str, body: str, small: str = "") -> str:
    tiers = _tier("slm", "small", small) + _tier("frontier", "large")
    input = _INPUT.format(most=LONGEST.get(name, USUAL))
    return f"feature: {name}\ninstructions: Read the parcel.\n{input}{body}tiers:\n{tiers}"


DOCUMENTS = {
    ECHO: _feature(ECHO, _MARK_OUTPUT, "    reask: true\n"),
    LETTER: _feature(LETTER, _MARK_OUTPUT),
    AGREED: _feature(
        AGREED,
        _MARK_OUTPUT + "confidence: {signal: agreement, samples: 2, threshold: 1.0}\n",
    ),
    SORTED: _feature(
        SORTED, _SHELF_OUTPUT + "confidence: {signal: label_logprob, threshold: 0.5}\n"
    ),
}
"""Feature files by name."""


def cost_of(model: str, usage: Mapping[str, Any]) -> Decimal:
    """USD of one call, from the tokens that the model server told."""
    paid, made = PRICES[model]
    tokens_in, tokens_out = Decimal(usage["prompt_tokens"]), Decimal(usage["completion_tokens"])
    return (tokens_in * paid + tokens_out * made) / 1_000_000
