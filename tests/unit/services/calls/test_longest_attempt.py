"""How long an attempt may take before its lease is given up."""

import pytest

from tierline.features.parse import parse_feature
from tierline.services.calls.calls import MOST_WAIT_S
from tierline.services.calls.longest_attempt import SLACK_S, longest_attempt_s

FEATURE = """
feature: timed
instructions: Give the amount.
input: {type: object}
output: {type: object, required: [amount], properties: {amount: {type: number}}}
tiers:
  - name: slm
    models: [openai:small]
    max_tokens: 50
    timeout_s: 5
"""
STEP = """
    steps:
      - name: read
        instructions: Read the amount.
        max_tokens: 10
        output: {type: object, required: [amount], properties: {amount: {type: number}}}
"""
AGREEMENT = "    confidence: {signal: agreement, samples: 3, threshold: 0.9}\n"


@pytest.mark.parametrize(
    ("more", "calls"),
    [
        ("", 1),
        ("    reask: true\n", 2),
        (AGREEMENT, 3),
        (STEP, 2),
        (f"{STEP}    join_steps: true\n", 1),
        (f"{STEP}    reask: true\n", 4),
    ],
)
def test_each_call_may_take_its_timeout_and_several_may_wait(more: str, calls: int) -> None:
    feature = parse_feature(FEATURE + more)
    waits_s = MOST_WAIT_S if calls > 1 else 0.0
    assert longest_attempt_s(feature, feature.tiers[0]) == calls * 5 + waits_s + SLACK_S


def test_each_model_in_reserve_may_take_its_timeout() -> None:
    feature = parse_feature(FEATURE.replace("[openai:small]", "[openai:small, openai:large]"))
    assert longest_attempt_s(feature, feature.tiers[0]) == 2 * 5 + SLACK_S
