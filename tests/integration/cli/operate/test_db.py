"""`tierline db upgrade` on a real, empty database."""

import json

import psycopg
import pytest

from tests.support.database.migrations import upgrade_to
from tests.support.database.past import past_weeks
from tests.support.database.rows import add_account
from tierline.base.settings import settings
from tierline.cli import main
from tierline.storage.db import migrate


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
    assert "first admin key, shown only once:\n" in first
    assert main.run(["db", "upgrade"]) == 0
    second = capsys.readouterr().out
    assert "already" in second
    assert "admin key" not in second


def migrated(url: str) -> str:
    """The database's URL, after it was migrated."""
    migrate.upgrade(url)
    return url


@pytest.fixture
def of_before(empty_database_url: str) -> int:
    """The id of an admin key in a database as the release before left it."""
    upgrade_to(empty_database_url, "0025")
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        account = add_account(connection, "default")
        (key,) = connection.execute(
            "INSERT INTO api_keys (account_id, name, prefix, digest, scopes)"
            " VALUES (%s, 'of before', 'tl_', 'x', '{admin}') RETURNING id",
            (account,),
        ).fetchone() or (0,)
    return int(key)


def test_an_upgrade_lists_the_admin_keys_that_became_operators_keys(
    of_before: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["db", "upgrade"]) == 0
    output = capsys.readouterr().out
    assert f"key {of_before} of account default: of before" in output
    assert "tierline keys demote" in output
    assert "first admin key" not in output
    assert main.run(["db", "upgrade"]) == 0
    assert "of before" not in capsys.readouterr().out


def test_an_upgrade_lists_them_in_json_too(
    of_before: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["db", "upgrade", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["operator_keys"] == [{"id": of_before, "name": "of before", "account": "default"}]
    assert answer["admin_key"] is None


def test_in_json_the_revisions_and_the_key_are_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["db", "upgrade", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["before"] is None
    assert answer["after"]
    assert answer["admin_key"]


def test_the_partitions_are_listed_with_what_keeps_them(
    empty_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["db", "partitions"]) == 0
    assert "run 'tierline db upgrade'" in capsys.readouterr().out
    with past_weeks(migrated(empty_database_url)) as past:
        feedback = "INSERT INTO feedback (job_id, account_id, correct) VALUES (%s, 1, true)"
        past.connection.execute(feedback, (past.job(3),))
    assert main.run(["db", "partitions", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    calls = [one for one in rows if one["table"] == "calls"]
    assert [one["kept_by"] for one in calls if one["kept_by"]] == [["labels"]]
    assert calls[-1]["kept_by"] is None, "its week is not over"
    assert calls == sorted(calls, key=lambda one: one["ends_at"])
    assert main.run(["db", "partitions"]) == 0
    line = next(
        line
        for line in capsys.readouterr().out.splitlines()
        if "calls_" in line and "labels" in line
    )
    assert line.startswith("calls ")
