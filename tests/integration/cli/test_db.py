"""`tierline db upgrade` on a real, empty database."""

import json

import psycopg
import pytest

from tierline.cli import main
from tierline.settings import settings


@pytest.fixture(autouse=True)
def _database(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    settings.cache_clear()


def test_an_empty_database_is_migrated_and_gets_its_first_admin_key_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.run(["db", "upgrade"]) == 0
    first = capsys.readouterr().out
    assert "migrated from an empty database to revision" in first
    assert "first admin key, shown this once: " in first
    assert main.run(["db", "upgrade"]) == 0
    second = capsys.readouterr().out
    assert "already" in second
    assert "admin key" not in second


def test_an_upgrade_lists_the_admin_keys_that_became_operators_keys(
    empty_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["db", "upgrade"]) == 0
    capsys.readouterr()
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        # As the release before left it.
        connection.execute("UPDATE api_keys SET scopes = '{admin}', name = 'of before'")
        connection.execute("UPDATE alembic_version SET version_num = '0025'")
        (key,) = connection.execute("SELECT id FROM api_keys").fetchone() or (0,)
        assert main.run(["db", "upgrade"]) == 0
        told = capsys.readouterr().out
        assert f"key {key} of account default: of before" in told
        assert "tierline keys demote" in told
        connection.execute("UPDATE alembic_version SET version_num = '0025'")
        assert main.run(["db", "upgrade", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
    assert found["operator_keys"] == [{"id": key, "name": "of before", "account": "default"}]
    assert found["admin_key"] is None


def test_in_json_the_revisions_and_the_key_are_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["db", "upgrade", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["before"] is None
    assert found["after"]
    assert found["admin_key"]
