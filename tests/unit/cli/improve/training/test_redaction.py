"""Masking personal data, where the extra `redaction` is installed."""

import pytest

pytest.importorskip("presidio_analyzer", reason="the extra `redaction` brings it, and spaCy: large")

from tierline.cli.improve.training.redaction import Redactor


def test_what_follows_a_pattern_is_masked_in_depth_and_the_rest_stays() -> None:
    masked = Redactor().masked(
        {"text": "Write to someone@example.com, card 4111 1111 1111 1111", "of": ["10.0.0.1", 3]}
    )
    assert masked == {
        "text": "Write to <EMAIL_ADDRESS>, card <CREDIT_CARD>",
        "of": ["<IP_ADDRESS>", 3],
    }
