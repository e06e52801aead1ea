"""`tierline replay`: what it reads, what it prints, what it refuses."""

import csv
import json
import random
from pathlib import Path

import pytest

from tierline.cli.main import run

HEADER = ["id", "prompt", "weak_score", "strong_score", "weak_cost_usd", "strong_cost_usd"]


def write(path: Path, header: list[str], rows: list[list[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def outcomes(count: int) -> list[list[object]]:
    """Rows of HEADER and a signal: 85% of the weak answers are right, and the signal tells."""
    draw = random.Random(5)
    rows: list[list[object]] = []
    for number in range(count):
        right = draw.random() < 0.85
        signal = f"{draw.gauss(1.5 if right else 0.0, 0.5):.3f}" if number % 9 else ""
        prompt = f"question {draw.randint(0, 40)} of kind {draw.randint(0, 9)}"
        rows.append([number, prompt, int(right), 1, "0.0001", "0.002", signal])
    return rows


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    return write(tmp_path / "recorded.csv", [*HEADER, "signal_margin"], outcomes(600))


def test_a_person_sees_a_table_a_promise_and_a_curve(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    png = tmp_path / "curve.png"
    arguments = ["replay", str(recorded), "--no-embeddings", "--max-error", "0.05"]
    assert run([*arguments, "--png", str(png)]) == 0
    shown = capsys.readouterr().out
    for policy in (
        *("weak only", "strong only", "random", "confidence", "complexity"),
        *("prompt length", "TF-IDF", "kNN", "oracle"),
    ):
        assert f"\n{policy} " in shown
    assert "confidence: at most 5.00% wrong, at 95% → serves " in shown
    assert "confidence keeps the promise at the least cost" in shown
    assert "FOR 95%  FOR 99%" in shown
    assert "* confidence  " in shown
    assert "strong only, cost →" in shown
    assert shown.endswith(f"\nthe curve with every policy: {png}\n")
    assert png.read_bytes().startswith(b"\x89PNG")


def test_a_table_says_that_nothing_can_be_promised(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["replay", str(recorded), "--no-embeddings", "--max-error", "0.001"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("600 requests; nothing can be promised, so 50% sent to the strong tier")
    assert "\nrandom          50.0%" in shown
    assert "confidence: at most 0.10% wrong, at 95%: not enough data" in shown
    assert "Nothing can be promised with these outcomes" in shown


def test_a_share_and_a_quality_of_ones_own(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["replay", str(recorded), "--no-embeddings", "--share", "0.3", "--keep", "0.975"]
    assert run(arguments) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("600 requests; compared with 30.0% sent to the strong tier")
    assert "FOR 95%  FOR 97.5%  FOR 99%" in shown
    assert run([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["escalated"], answer["escalated_by"]) == (0.3, "caller")
    oracle = next(one for one in answer["policies"] if one["policy"] == "oracle")
    assert [one["quality"] for one in oracle["cost_usd_for"]] == [0.95, 0.975, 0.99]


def test_nothing_is_shown_on_stderr_without_a_terminal(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["replay", str(recorded), "--no-embeddings"]) == 0
    assert capsys.readouterr().err == ""


def test_a_terminal_sees_the_progress(
    recorded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert run(["replay", str(recorded), "--no-embeddings"]) == 0
    assert "fitting and testing" in capsys.readouterr().err


def test_a_script_gets_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With embeddings, which take the time."""
    few = write(tmp_path / "few.csv", [*HEADER, "signal_margin"], outcomes(300))
    assert run(["replay", str(few), "--json", "--max-error", "0.05"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["requests"] == 300
    by_name = {one["policy"]: one for one in answer["policies"]}
    assert by_name["oracle"]["area"] >= by_name["confidence"]["area"]
    promised = by_name["confidence"]["promised"]
    assert promised["served"] >= promised["errors"]


def test_answers_and_tokens_do_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = ["id", "prompt", "label", "weak_answer", "strong_answer"]
    header += ["weak_tokens", "strong_tokens"]
    rows: list[list[object]] = [
        [n, f"text {n % 7}", "Refund ", "refund" if n % 5 else "other", "REFUND", 100, 100]
        for n in range(200)
    ]
    path = write(tmp_path / "r.csv", header, rows)
    prices = ["--weak-usd-per-mtok", "0.1", "--strong-usd-per-mtok", "5"]
    assert run(["replay", str(path), "--no-embeddings", "--json", *prices]) == 0
    answer = json.loads(capsys.readouterr().out)
    by_name = {one["policy"]: one for one in answer["policies"]}
    assert by_name["weak only"]["quality"] == pytest.approx(0.8)
    assert by_name["strong only"]["quality"] == 1.0
    assert by_name["strong only"]["cost_usd"] == pytest.approx(100 * 5 / 1e6)


BAD_ROWS = [
    ([1, "p", "1.2", "1", "0", "1"], "weak_score is 1.2: a score must be between 0 and 1"),
    ([1, "p", "", "1", "0", "1"], "weak_score is empty"),
    ([1, "p", "1", "yes", "0", "1"], "strong_score is 'yes', not a number"),
    ([1, "p", "1", "1", "-1", "1"], "weak_cost_usd is -1: a cost cannot be negative"),
    ([1, "p", "1", "1", "nan", "1"], "weak_cost_usd is 'nan', not a number"),
    ([1, "p", "1", "1", "0", "1e308"], "strong_cost_usd is '1e308': it must be at most 1e+12"),
    (["", "p", "1", "1", "0", "1"], "id is empty"),
    ([1, "p", "1", "1", "0"], "5 cells, and the header has 6 columns"),
]


@pytest.mark.parametrize(("row", "message"), BAD_ROWS, ids=lambda value: str(value)[:40])
def test_a_bad_row_is_named_by_its_line(
    row: list[object], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [0, "two\nlines", "1", "1", "0", "1"]
    path = write(tmp_path / "r.csv", HEADER, [good, row])
    assert run(["replay", str(path)]) == 2
    assert capsys.readouterr().err == f"{path}:4: {message}\n"


def test_an_id_that_comes_twice_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = ["a", "p", "1", "1", "0", "1"]
    path = write(tmp_path / "r.csv", HEADER, [row, row])
    assert run(["replay", str(path)]) == 2
    assert "r.csv:3: the id 'a' is already in line 2" in capsys.readouterr().err


BAD_FILES = [
    (["id", "prompt"], [], "needs weak_score, or weak_answer and label"),
    (["prompt"], [], "needs a column id"),
    (["id", "id"], [], "the column id occurs more than once"),
    (HEADER[:4], [], "needs weak_cost_usd or weak_tokens"),
    ([*HEADER[:4], "weak_tokens", "strong_tokens"], [], "give --weak-usd-per-mtok"),
    (HEADER, [], "has no rows"),
    (HEADER, [[1, "p", 1, 1, 0, 1]], "has 1 rows: at least 50 are needed"),
    (HEADER, [[n, "p", 1, 1, 0, 1] for n in range(60)], "every weak answer is right"),
    (HEADER, [[n, "p", n % 2, 1, 1, 1] for n in range(60)], "costs no more than the weak one"),
]


@pytest.mark.parametrize(
    ("header", "rows", "message"), BAD_FILES, ids=lambda value: str(value)[:40]
)
def test_a_file_that_cannot_be_replayed_says_why(
    header: list[str],
    rows: list[list[object]],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write(tmp_path / "r.csv", header, rows)
    assert run(["replay", str(path), "--no-embeddings"]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-error", "1.5"], "--max-error is 1.5: it must be between 0 and 1"),
        (["--confidence", "95"], "--confidence is 95: it must be between 0 and 1"),
        (["--share", "30"], "--share is 30: it must be between 0 and 1"),
        (["--keep", "0"], "--keep is 0: it must be above 0 and at most 1"),
        (["--right-from", "0"], "--right-from is 0: it must be above 0 and at most 1"),
        (["--compare", "fuzzy"], "--compare is 'fuzzy': give exact, normalised, numeric or set"),
    ],
)
def test_options_that_cannot_be(
    arguments: list[str], message: str, recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["replay", str(recorded), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_no_file_and_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", str(tmp_path / "none.csv")]) == 2
    assert "cannot be read: No such file or directory" in capsys.readouterr().err
    binary = tmp_path / "b.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    assert run(["replay", str(binary)]) == 2
    assert "is not UTF-8 text" in capsys.readouterr().err
