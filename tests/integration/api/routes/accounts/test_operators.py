"""The last operator's key, the way back to one, and whose content an operator reads."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.support.database.rows import add_account
from tierline.base.errors import Conflict
from tierline.services.accounts.accounts import (
    create_key,
    demote_key,
    ensure_first_admin,
    make_run_key,
    revoke_key,
    rotate_key,
)

Connection = psycopg.Connection[Any]
ENDINGS = [revoke_key, demote_key]


@pytest.fixture
def fresh(fresh_database_url: str) -> Any:
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        add_account(connection, "default")
        yield connection


def operators(connection: Connection) -> int:
    (count,) = connection.execute(
        "SELECT count(*) FROM api_keys WHERE 'operator' = ANY(scopes) AND revoked_at IS NULL"
        " AND (expires_at IS NULL OR expires_at > clock_timestamp())"
    ).fetchone() or (0,)
    return int(count)


@pytest.mark.parametrize("end", ENDINGS)
def test_the_last_operators_key_ends_only_by_force(fresh: Connection, end: Any) -> None:
    create_key(fresh, "default", ("admin",))
    one, two = (create_key(fresh, "default", ("operator",)).row["id"] for _ in "ab")
    end(fresh, one)
    with pytest.raises(Conflict, match=f"key {two} is the last operator's key"):
        end(fresh, two)
    assert operators(fresh) == 1
    end(fresh, two, force=True)
    assert operators(fresh) == 0


@pytest.mark.parametrize("end", ENDINGS)
def test_a_key_that_a_rotation_ends_does_not_count_as_another_one(
    fresh: Connection, end: Any
) -> None:
    old = create_key(fresh, "default", ("operator",)).row["id"]
    new = rotate_key(fresh, old, 24).row["id"]
    with pytest.raises(Conflict, match="last operator's key"):
        end(fresh, new)
    end(fresh, old)  # its successor stays


@pytest.mark.parametrize("end", ENDINGS)
def test_of_two_operators_that_end_each_other_at_once_one_stays(
    fresh: Connection, fresh_database_url: str, end: Any
) -> None:
    keys = [create_key(fresh, "default", ("operator",)).row["id"] for _ in range(4)]

    def ended(key: int) -> bool:
        with psycopg.connect(fresh_database_url, autocommit=True) as connection:
            try:
                end(connection, key)
            except Conflict:
                return False
            return True

    with ThreadPoolExecutor(len(keys)) as at_once:
        outcomes = list(at_once.map(ended, keys))
    assert sorted(outcomes) == [False, True, True, True]
    assert operators(fresh) == 1


def test_an_installation_without_an_operator_gets_one_from_its_database(
    fresh: Connection, fresh_database_url: str
) -> None:
    first = ensure_first_admin(fresh_database_url)
    assert first is not None
    create_key(fresh, "default", ("admin",))
    assert ensure_first_admin(fresh_database_url) is None
    fresh.execute(
        "UPDATE api_keys SET revoked_at = clock_timestamp() WHERE prefix = %s", (first[:9],)
    )
    again = ensure_first_admin(fresh_database_url)
    assert again not in (None, first)
    assert operators(fresh) == 1


def test_the_keys_that_a_start_makes_are_operators(
    fresh: Connection, fresh_database_url: str
) -> None:
    ensure_first_admin(fresh_database_url)
    make_run_key(fresh_database_url, "tierline up x")
    made = fresh.execute("SELECT name, scopes FROM api_keys ORDER BY id").fetchall()
    assert made == [
        ("first admin key", ["admin", "operator"]),
        ("tierline up x", ["admin", "operator"]),
    ]
