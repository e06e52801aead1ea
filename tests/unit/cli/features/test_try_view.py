"""What `features try` shows of an attempt."""

from typing import Any

import pytest

from tests.support.samples.features import STEPS, TRIAGE
from tierline.checks import marks
from tierline.cli.features.try_view import show_attempts
from tierline.features.parse import parse_feature


def call(number: int, purpose: str, **more: Any) -> dict[str, Any]:
    return {
        "number": number,
        "purpose": purpose,
        "model": "small",
        "usage": {"input_tokens": 9, "output_tokens": 1, "cached_input_tokens": None},
        "latency_s": 0.5,
        "cost_usd": "0",
        "error": None,
        "settled_at": "2026-11-26T00:00:00Z",
        **more,
    }


def said(purpose: str, prompt: str, text: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}]
    return {"purpose": purpose, "model": "small", "messages": messages, "text": text}


def attempt(calls: list[Any], trace: list[Any] | None, **more: Any) -> dict[str, Any]:
    return {
        "number": 1,
        "tier": "slm",
        "verdict": "passed",
        "reason": None,
        "confidence": None,
        "answer": None,
        "calls": calls,
        "trace": trace,
        **more,
    }


def test_each_answer_is_judged_by_the_question_that_it_answers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls = [
        call(1, "step"),
        call(2, "step"),
        call(3, "reask"),
        call(4, "answer", error="timeout: no answer", cost_usd=None),
        call(5, "answer"),
    ]
    trace = [
        said("step", "which number?", '{"number": "A-77"}'),
        said("step", "which total?", '{"total": -1}'),
        said("reask", "once more", '{"total": 5}'),
        said("answer", "all of it", '{"number": "A-77"}'),
    ]
    show_attempts(parse_feature(STEPS), {"text": "A-77, 5"}, [attempt(calls, trace)])
    out = capsys.readouterr().out
    assert out.index("which number?") < out.index("grounded: number: passed")
    assert out.index("which total?") < out.index("output.total > 0.0: a total is over 0")
    assert out.index("once more") < out.index("output.total > 0.0: passed")
    assert out.index("failed: timeout: no answer") < out.index("all of it")


def test_an_answer_by_label_scores_is_shown_once_with_its_confidence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls = [call(1, "label_score"), call(2, "label_score")]
    trace = [said("label_score", "which one?", " bug"), said("label_score", "N/A", " bug")]
    shown = attempt(calls, trace, confidence=0.75, answer='{"category": "bug"}')
    show_attempts(parse_feature(TRIAGE), {"text": "It broke."}, [shown])
    out = capsys.readouterr().out
    assert "passed (confidence 0.750)" in out
    assert out.count("[answer]") == 1
    assert '{"category": "bug"}' in out


def test_an_attempt_without_a_trace_still_shows_its_calls(
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls = [call(1, "step", error="provider_error: gone", cost_usd=None)]
    show_attempts(parse_feature(STEPS), {"text": "x"}, [attempt(calls, None, verdict=None)])
    out = capsys.readouterr().out
    assert "attempt 1 on slm: running" in out
    assert "failed: provider_error: gone" in out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no idea", ["is JSON"]),
        ('{"number": 1}', ["is JSON", "fits the schema"]),
        (
            '```json\n{"number": "B"}\n```',
            ["is JSON, after a repair", "fits the schema", "grounded: number"],
        ),
    ],
)
def test_every_check_of_a_task_is_told_as_far_as_it_was_looked_at(
    text: str, expected: list[str]
) -> None:
    number = parse_feature(STEPS).tiers[0].steps[0]
    results = marks(number, {"text": "A"}, text)
    assert [what for what, _ in results] == expected
    assert results[-1][1] is not None
