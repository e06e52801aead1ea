"""CSV that a spreadsheet shows and does not run."""

import csv
import io

import pytest

from tierline.cli.shared.csv_cells import Table, safe

FORMULAS = [
    *("=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "-", "+", "=", "-x"),
    *('=HYPERLINK("http://evil.invalid")', "-2+3+cmd|' /C calc'!A0", "＝1", "＠x", "--1", "-1 "),
    *("-١٢", "-1,5", "-.5", "-1_000", "-0x10"),
]
NUMBERS = ["-1.5", "+3", "-0", "12", "1e-9", "-1E+5", "-1.5e3"]
HARMLESS = ["", "a=b", "x-y", "'=1", "1+1", '{"a": "=1"}', "mail@example.com", "é"]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_may_be_run_as_a_formula_is_quoted_once(text: str) -> None:
    assert safe(text) == f"'{text}"
    assert safe(safe(text)) == safe(text)


@pytest.mark.parametrize("text", NUMBERS + HARMLESS)
def test_numbers_and_other_texts_stay(text: str) -> None:
    assert safe(text) == text


def written(raw: bool, sink: io.StringIO | None = None) -> str:
    sink = sink or io.StringIO()
    table = Table(sink, raw=raw)
    table.row(["=1", -1.5, None, "-2", 'a"=1,b', "line\n=2"])
    return sink.getvalue()


def test_cells_are_read_back_as_they_were_but_for_the_quote() -> None:
    assert next(csv.reader(io.StringIO(written(raw=False)))) == [
        *("'=1", "-1.5", "", "-2", 'a"=1,b', "line\n=2")
    ]
    assert next(csv.reader(io.StringIO(written(raw=True))))[0] == "=1"


def test_a_terminal_is_not_driven() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    sink = Terminal()
    Table(sink, raw=True).row(["\x1b[2J"])
    assert sink.getvalue() == "\\x1b[2J\n"
