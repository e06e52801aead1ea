"""Writing and checking feature files without any server."""

import json
from pathlib import Path

import pytest

from tierline.cli import main
from tierline.cli.features.feature_file import new_feature
from tierline.features.parse import parse_feature


def run(*arguments: str | Path) -> int:
    return main.run([str(argument) for argument in arguments])


def test_a_new_file_is_right_as_it_is() -> None:
    feature = parse_feature(new_feature("order-number", "order-number.yaml"), "order-number.yaml")
    assert feature.name == "order-number"
    assert [str(model) for model in feature.tiers[0].models] == ["local:smollm2-135m"]


@pytest.mark.parametrize("provider", ["openai", "local"])
def test_each_second_tier_of_a_new_file_is_right_once_its_hash_marks_go(provider: str) -> None:
    lines = new_feature("order-number", "f.yaml").splitlines()
    start = next(
        number
        for number, text in enumerate(lines)
        if text.startswith(f"  #   models: [{provider}:")
    )
    for number in range(start - 1, start + 3):
        lines[number] = lines[number].replace("  # ", "  ", 1)
    feature = parse_feature("\n".join(lines), "f.yaml")
    assert feature.tiers[1].name == "frontier"


def test_init_writes_the_file_and_never_over_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("features", "init", "order-number") == 0
    written = (tmp_path / "order-number.yaml").read_text()
    assert run("features", "init", "order-number") == 2
    assert (tmp_path / "order-number.yaml").read_text() == written
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["Upper", "9lives", "with space", "../up", ""])
def test_init_refuses_a_name_that_no_feature_can_have(name: str) -> None:
    assert run("features", "init", name, "--out", "-") == 2


def test_validate_names_every_problem_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.yaml"
    text = new_feature("order-number", str(path))
    text = text.replace("routing: slm_first", "routing: cheapest").replace(
        "description:", "descripton:"
    )
    path.write_text(text)
    lines = text.splitlines()
    where = [
        1 + next(n for n, line in enumerate(lines) if line.startswith(start))
        for start in ("descripton:", "routing:")
    ]
    assert run("features", "validate", path) == 2
    errors = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in errors] == [f"{path}:{number}" for number in where]


def test_validate_says_which_of_several_files_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(new_feature("good", "good.yaml"))
    bad.write_text("feature: [")
    assert run("features", "validate", good, bad) == 2
    shown = capsys.readouterr()
    assert f"{good}: good is valid" in shown.out
    assert shown.err.splitlines()[-1].startswith(str(bad))


def test_validate_in_json_gives_problems_as_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("feature: x\nnonsense: 1\n")
    assert run("features", "validate", bad, "--json") == 2
    data = json.loads(capsys.readouterr().out)["data"]
    assert data[0]["file"] == str(bad)
    assert any(problem["line"] == 2 for problem in data[0]["problems"])


def test_a_file_that_is_not_utf8_is_a_problem_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"feature: x\ndescription: caf\xe9\n")
    assert run("features", "validate", path) == 2
    assert f"{path}:2: not UTF-8" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("features", "validate", tmp_path / "none.yaml") == 2
    assert capsys.readouterr().err == f"{tmp_path / 'none.yaml'}: No such file or directory\n"


def test_an_unknown_provider_is_a_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(new_feature("x", "f.yaml").replace("[local:", "[nobody:"))
    assert run("features", "validate", path) == 2
    assert "nobody" in capsys.readouterr().err


def test_the_keys_of_the_shell_are_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tierline.base.settings import settings

    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings.cache_clear()
    path = tmp_path / "f.yaml"
    path.write_text(new_feature("x", "f.yaml").replace("[local:smollm2-135m]", "[openai:gpt-5]"))
    assert run("features", "validate", path) == 0
    assert "OPENAI_API_KEY" not in capsys.readouterr().err


def test_an_unknown_format_is_a_warning_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "f.yaml"
    text = new_feature("x", "f.yaml").replace("maxLength: 40}", "maxLength: 40, format: int32}")
    line = 1 + text[: text.index("format: int32")].count("\n")
    path.write_text(text)
    assert run("features", "validate", path) == 0
    assert f'warning: line {line}: the format "int32"' in capsys.readouterr().err
