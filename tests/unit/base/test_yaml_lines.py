"""YAML 1.2 as JSON values with lines."""

import pytest

from tierline.base.errors import FeatureError
from tierline.base.yaml_lines import read_yaml


def value(text: str) -> object:
    return read_yaml(text, "f").value


def refused(text: str) -> str:
    with pytest.raises(FeatureError) as caught:
        read_yaml(text, "f")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("no", "no"),
        ("off", "off"),
        ("True", True),
        ("~", None),
        ("2026-03-01", "2026-03-01"),
        ("12:30", "12:30"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
        ("9" * 400, "9" * 400),
    ],
)
def test_scalars_are_read_by_the_core_schema(text: str, read: object) -> None:
    assert value(f"a: {text}") == {"a": read}


def test_a_key_knows_its_line_and_what_has_none_that_of_its_parent() -> None:
    document = read_yaml("a:\n  b: 1\n  c: [x,\n    y]\n", "f")
    assert document.line(("a", "b")) == 2
    assert document.line(("a", "c", 1)) == 4
    assert document.line(("a", "none", "at", "all")) == 1


def test_aliases_are_followed() -> None:
    assert value("a: &x [1]\nb: *x") == {"a": [1], "b": [1]}


def test_aliases_cannot_make_a_small_file_large() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "aliases" in refused("\n".join(lines))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", 'f:3: /a: the key "a" is already given on line 1'),
        ("a: !x 1", "tag !x"),
        ("a: !!python/object:os.system {}", "tag"),
        ("a: .nan", "not a JSON number"),
        ("a: 1e999", "range of a double"),
        ("a: &x [*x]", "alias is inside"),
        ("a: 1\n---\nb: 2", "another document"),
        ("? [a]\n: 1", "a key must be text"),
        ("a:\n  - b\n c: 1", "f:3: not YAML"),
        ("a: *none", "undefined alias"),
        ('a: "\\0"', "NUL"),
        ('a: "\\ud800"', "surrogate"),
        ("x" * 300_000, "longer than"),
        ("- " * 3000, "nested deeper"),
    ],
)
def test_what_json_cannot_hold_is_refused(text: str, message: str) -> None:
    assert message in refused(text)
