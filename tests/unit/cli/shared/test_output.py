"""What the command line prints is text, whatever it was given."""

import json

import pytest

from tierline.cli.shared import output
from tierline.cli.shared.output import (
    Col,
    brief,
    one_line,
    plain,
    print_json,
    print_pairs,
    print_table,
    seconds,
    sentences,
    usd,
)


@pytest.fixture(autouse=True)
def _fresh_console() -> None:
    output.console.cache_clear()


def test_control_characters_are_written_out() -> None:
    assert plain("a\x1b[31mred\x07\x9b") == "a\\x1b[31mred\\x07\\x9b"


def test_a_line_that_turns_its_direction_is_made_visible() -> None:
    assert plain("x\u202ey") == "x\\u202ey"


HOSTILE = "".join(chr(number) for number in (*range(0x20), *range(0x7F, 0xA0))) + (
    "\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069 é 漢 \u05d0"
)
HARMFUL = set(HOSTILE) - set("\n\t é漢\u05d0")


def test_json_drives_no_terminal_and_is_the_same_value(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({HOSTILE: [HOSTILE]})
    output_text = capsys.readouterr().out
    assert not set(output_text) & HARMFUL
    assert json.loads(output_text) == {HOSTILE: [HOSTILE]}
    assert "é 漢 \u05d0" in output_text


def test_a_table_and_pairs_drive_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([Col("NAME")], [(f"{HOSTILE}[red]x[/red]",)], "none")
    print_pairs([("name", HOSTILE)])
    output_text = capsys.readouterr().out
    assert not set(output_text) & HARMFUL
    assert "[red]x[/red]" in output_text


def test_newlines_and_tabs_stay() -> None:
    assert plain("a\r\n\tb") == "a\n\tb"


def test_one_line_is_cut_with_an_ellipsis() -> None:
    assert one_line("some  words\nhere", 10) == "some word…"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "unknown"),
        ("0", "$0"),
        ("0.00012", "$0.00012"),
        ("0.10", "$0.1"),
        ("0.00000001", "<$0.000001"),
        ("1234.5", "$1,234.50"),
        ("rubbish", "unknown"),
    ],
)
def test_a_cost_is_shown_as_it_is_and_never_as_zero_when_unknown(value: object, shown: str) -> None:
    assert usd(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, ""), (0.0123, "12 ms"), (3.25, "3.2 s"), (125, "2 min 5 s"), (8000, "2 h 13 min")],
)
def test_a_duration_has_its_unit(value: object, shown: str) -> None:
    assert seconds(value) == shown


def test_a_value_in_a_cell_is_one_line_of_json() -> None:
    assert brief({"a": "é\n"}) == '{"a": "é\\n"}'


def test_json_is_printed_so_that_it_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"x": "…\x1b"})
    assert json.loads(capsys.readouterr().out) == {"x": "…\x1b"}


def test_a_table_in_a_pipe_has_no_colour_and_is_not_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    print_table([Col("A"), Col("B")], [("x" * 60, "completed")], empty="none")
    out = capsys.readouterr().out
    assert "x" * 60 + "  completed" in out
    assert "\x1b" not in out


def test_what_stands_in_a_cell_is_never_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([Col("A")], [("[bold]x[/bold] \x1b[2J",)], empty="none")
    assert "[bold]x[/bold] \\x1b[2J" in capsys.readouterr().out


def test_no_rows_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([Col("A")], [], empty="no jobs")
    assert capsys.readouterr().out == "no jobs\n"


@pytest.mark.parametrize(("width", "blocks"), [(40, True), (59, True), (80, False)])
def test_a_table_that_a_narrow_terminal_cannot_hold_becomes_blocks(
    width: int,
    blocks: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from rich.console import Console

    # A height too: without one, rich takes a dumb terminal to be 80 columns wide.
    narrow = Console(force_terminal=True, width=width, height=25, color_system=None)
    monkeypatch.setattr(output, "console", lambda: narrow)
    row = [f"value-{number}" for number in range(7)]
    print_table([Col(f"TITLE{number}", "right") for number in range(7)], [row], empty="none")
    lines = capsys.readouterr().out.splitlines()
    assert ("TITLE3  value-3" in lines) is blocks
    assert all(len(line) <= width for line in lines)


def test_a_table_that_fits_a_narrow_terminal_stays_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    narrow = Console(force_terminal=True, width=40, height=25, color_system=None)
    monkeypatch.setattr(output, "console", lambda: narrow)
    print_table([Col("A"), Col("B")], [("x", "y")], empty="none")
    assert capsys.readouterr().out.splitlines()[0].split() == ["A", "B"]


WORDS = "see whether a small model is worth trying; then add one before it"


def test_prose_breaks_between_words_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    sentences(WORDS)
    print_pairs([("next", "tierline advise")], prose=WORDS)
    assert capsys.readouterr().out == f"{WORDS}\nnext  tierline advise\n      {WORDS}\n"
    narrow = Console(force_terminal=True, width=40, height=25, color_system=None)
    monkeypatch.setattr(output, "console", lambda: narrow)
    sentences(WORDS)
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines), " ".join(lines)) == (2, WORDS)
    print_pairs([("next", "tierline advise")], prose=WORDS)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 40 for line in lines)
    assert " ".join(line.strip() for line in lines[1:]) == WORDS
    assert {line[:6] for line in lines[1:]} == {" " * 6}
