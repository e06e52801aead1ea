"""Reading a job's input from the command line, and the words for a job."""

import io
import sys
from pathlib import Path

import pytest

from tierline.base.errors import UsageError
from tierline.cli.run.job_view import show_job
from tierline.cli.run.jobs import read_json_option

JOB = {
    "id": "01", "feature": "f", "feature_version": 1, "status": "in_progress",
    "status_label": "running deeper analysis…", "tier": "frontier", "model": None, "output": None,
    "error": None, "cost_usd": "0.0100", "unknown_cost_calls": 1,
    "usage": {"input_tokens": 1200, "output_tokens": 7}, "created_at": "2026-01-02T03:04:05Z",
    "escalation_reason": "ungrounded: total does not stand in the input",
}  # fmt: skip
ATTEMPTS = [
    {
        "number": 1, "tier": "slm", "model": "m", "verdict": "ungrounded", "latency_s": 0.5,
        "reason": "total does not stand in the input", "cost_usd": "0",
        "calls": [{"purpose": "answer", "model": "local:m", "usage": None, "cost_usd": None}],
    }
]  # fmt: skip


def test_input_is_json_itself() -> None:
    assert read_json_option('{"text": "x"}', "--input") == {"text": "x"}


def test_input_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_bytes(b'\xef\xbb\xbf{"text": "\xc3\xa9"}')
    assert read_json_option(f"@{path}", "--input") == {"text": "é"}


def test_input_comes_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"[1]")))
    assert read_json_option("-", "--input") == [1]


@pytest.mark.parametrize("text", ["{", "NaN", '{"a": 1, "a": 2}', '"\\u0000"', "text", "1 2"])
def test_what_is_not_strict_json_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--input"):
        read_json_option(text, "--input")


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_json_option(f"@{tmp_path}/none", "--input")


def test_bytes_that_are_not_utf8_are_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_bytes(b'"\xff"')
    with pytest.raises(UsageError, match="not UTF-8"):
        read_json_option(f"@{path}", "--input")


def test_a_job_says_that_deeper_analysis_runs(capsys: pytest.CaptureFixture[str]) -> None:
    show_job(JOB, as_json=False)
    out = capsys.readouterr().out
    assert "status     in_progress: running deeper analysis…" in out
    assert "cost       $0.01, and 1 calls of unknown cost" in out


@pytest.mark.parametrize("message", ["no key is set", "provider_error: no key is set"])
def test_the_code_of_an_error_is_shown_once(
    message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_job(JOB | {"error": {"code": "provider_error", "message": message}}, as_json=False)
    assert "error      provider_error: no key is set\n" in capsys.readouterr().out


def test_attempts_show_verdict_reason_and_calls(capsys: pytest.CaptureFixture[str]) -> None:
    show_job(JOB, as_json=False, attempts=ATTEMPTS)
    out = capsys.readouterr().out
    assert "attempt 1 on slm: ungrounded (m, 500 ms, $0)" in out
    assert "because: total does not stand in the input" in out
    assert "answer: local:m, tokens unknown, unknown" in out
