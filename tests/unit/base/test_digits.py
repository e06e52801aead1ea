"""Numbers in text are ASCII digits, wherever a caller or an operator writes one."""

from decimal import Decimal

import pytest

from api.routes.jobs.submit import preferred_wait_s
from tierline.base import digits
from tierline.base.errors import UsageError
from tierline.base.settings import settings
from tierline.cli.main import run
from tierline.rules.rate_limits import parse_limits

OTHERS = ["1_000", " 12", "12 ", "12\n", "١٢", "１２", "²", "", "+", "0x10", "1e", "nan", "inf"]
OTHER_WHOLES = [*OTHERS, "1.0", "1e3", "1,000"]


@pytest.mark.parametrize("text", OTHER_WHOLES)
def test_no_other_text_is_a_whole_number(text: str) -> None:
    with pytest.raises(ValueError, match="digits 0 to 9"):
        digits.whole(text)


@pytest.mark.parametrize("text", OTHERS)
def test_no_other_text_is_a_number(text: str) -> None:
    with pytest.raises(ValueError, match="digits 0 to 9"):
        digits.number(text)
    with pytest.raises(ValueError, match="digits 0 to 9"):
        digits.decimal(text)


def test_digits_are_numbers() -> None:
    assert [digits.whole(text) for text in ("12", "-1", "+3", "007")] == [12, -1, 3, 7]
    assert [digits.number(text) for text in ("12", "-1.5", ".5", "2.", "1e3")] == [
        *(12, -1.5, 0.5, 2, 1000)
    ]
    assert digits.decimal("0.10") == Decimal("0.10")
    with pytest.raises(ValueError, match="digits"):
        digits.whole("9" * 5_000)


@pytest.mark.parametrize("name", ["TIERLINE_WORKER_THREADS", "TIERLINE_LEASE_S"])
@pytest.mark.parametrize("text", ["1_0", " 12", "١٢", "１２", "nan"])
def test_a_setting_is_written_in_ascii_digits(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)
    settings.cache_clear()
    try:
        with pytest.raises(UsageError, match=f"{name}: .*digits 0 to 9"):
            settings()
    finally:
        settings.cache_clear()


@pytest.mark.parametrize("text", ["1_0", " 12", "١٢", "１２", "nan"])
@pytest.mark.parametrize(
    "command",
    [
        ["audit", "--limit"],
        ["jobs", "list", "--limit"],
        ["keys", "create", "--name", "x", "--days"],
        ["budgets", "remove"],
        ["queues", "--watch", "--every"],
        ["budgets", "set", "--account", "x", "--period", "day", "--usd"],
        ["backfill", "README.md", "--feature", "x", "--max-cost-usd"],
    ],
    ids=" ".join,
)
def test_an_option_is_written_in_ascii_digits(
    command: list[str], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERLINE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("TIERLINE_API_KEY", "tl_none")
    assert run([*command, text]) == 2


@pytest.mark.parametrize("text", ["openai=１２", "openai=1_0", "openai=1/٢"])
def test_a_rate_limit_is_written_in_ascii_digits(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_limits(text)


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [("wait=5", 5.0), ("wait=٥", None), ("wait=５", None), ("wait=1_0", None), ("wait=²", None)],
)
def test_a_wait_is_asked_for_in_ascii_digits(header: str, wait_s: float | None) -> None:
    assert preferred_wait_s(header, 30.0) == wait_s
