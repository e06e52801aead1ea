"""Applying and showing features by command, against a real API."""

import json
from pathlib import Path

import psycopg
import pytest

from tests.support.cli import Tierline
from tierline.base.ids import new_id
from tierline.cli.features.feature_file import new_feature
from tierline.storage.features import provider_keys

INPUT = '{"text": "Where is my order 4417-B?"}'


def test_a_feature_is_applied_listed_and_shown(tierline: Tierline, feature: str) -> None:
    assert feature in tierline("features", "list").out
    shown = tierline("features", "show", feature)
    assert "routing: slm_first" in shown.out
    assert shown.code == 0


def test_applying_the_same_file_again_makes_no_new_version(
    tierline: Tierline, feature: str, tmp_path: Path
) -> None:
    path = tmp_path / "again.yaml"
    path.write_text(new_feature(feature, str(tmp_path / "order-number.yaml")))
    first = json.loads(tierline("features", "show", feature, "--json").out)["version"]
    ran = tierline("features", "apply", path)
    assert "is unchanged at" in ran.out
    assert json.loads(tierline("features", "show", feature, "--json").out)["version"] == first


def test_an_older_version_can_be_shown(tierline: Tierline, feature: str, tmp_path: Path) -> None:
    before = json.loads(tierline("features", "show", feature, "--json").out)["version"]
    path = tmp_path / "changed.yaml"
    path.write_text(new_feature(feature, "x").replace("max_tokens: 60", "max_tokens: 61"))
    assert f"version {before + 1}" in tierline("features", "apply", path).out
    old = tierline("features", "show", feature, "--version", before)
    assert "max_tokens: 61" not in old.out


def test_a_file_with_a_problem_applies_none(
    tierline: Tierline, feature: str, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(new_feature("never-applied", "x"))
    bad.write_text(new_feature("bad", "x").replace("routing: slm_first", "routing: nonsense"))
    ran = tierline("features", "apply", good, bad)
    assert ran.code == 2
    assert f"{bad}:" in ran.err
    assert "never-applied" not in tierline("features", "list").out


def test_models_say_what_is_used_and_what_is_missing(tierline: Tierline, feature: str) -> None:
    ran = tierline("models", "list")
    assert ran.code == 0
    assert "local:smollm2-135m" in ran.out
    assert feature in ran.out


def test_validate_asks_the_server_and_not_the_shell_for_keys(
    tierline: Tierline, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(new_feature("keys", "x").replace("[local:smollm2-135m]", "[openai:gpt-5]"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def warned(*names: str) -> str:
        worker = new_id()
        with psycopg.connect(database_url, autocommit=True) as connection:
            provider_keys.publish(connection, worker, names, 60.0)
            try:
                return tierline("features", "validate", path).err
            finally:
                provider_keys.remove(connection, worker)

    assert "OPENAI_API_KEY is not set, in the worker" in warned("anthropic")
    assert "OPENAI_API_KEY" not in warned("openai")
