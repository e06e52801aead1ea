"""Threshold searches in a trainer's child process: what is found holds, one may be cancelled."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support.database.rows import add_outcomes
from tests.support.processes.started import process
from tests.support.processes.up import environment as clean_environment
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.errors import Conflict
from tierline.rules.jobs import Status
from tierline.services.accounts.accounts import create_account
from tierline.services.evidence.calibration.calibrate import (
    CalibrationRequest,
    NotEnoughData,
    Watch,
    calibrate,
)
from tierline.services.evidence.calibration.calibrations import calibrations_of
from tierline.services.evidence.calibration.threshold_searches import cancel, search_of, start
from tierline.services.features.apply_feature import apply_feature
from tierline.services.features.find_feature import current_feature
from tierline.services.steering.recipes import recipe_of
from tierline.storage.evidence.calibrations import lock_recipe

FEATURE = """feature: kept
instructions: Name it.
input: {type: object, required: [text], properties: {text: {type: string}}}
output: {type: string}
confidence: {signal: agreement, samples: 2, threshold: calibrated}
tiers:
  - {name: slm, models: [openai:small]}
  - {name: frontier, models: [openai:large]}
"""
WANTED = CalibrationRequest(max_error=0.1, confidence=0.95)
Database = psycopg.Connection[Any]


@pytest.fixture
def db(fresh_database_url: str) -> Iterator[Database]:
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        create_account(connection, "acme")
        apply_feature(connection, FEATURE)
        yield connection


def recipe(db: Database) -> str:
    feature = current_feature(db, "kept")
    return recipe_of(db, feature, feature.tiers[0])


def started(db: Database) -> int:
    row = db.execute("SELECT id FROM accounts").fetchone()
    assert row is not None
    return int(start(db, "kept", WANTED, row[0]).id)


def test_what_is_found_holds_and_a_cancelled_one_uses_nothing_up(
    db: Database, fresh_database_url: str
) -> None:
    add_outcomes(db, "kept", recipe(db), 1_000)
    environment = clean_environment(
        {"DATABASE_URL": fresh_database_url, "TIERLINE_BEAT_S": "0.2", "TIERLINE_LEASE_S": "3"}
    )
    with process(["-m", "workers.trainer"], environment):
        with psycopg.connect(fresh_database_url) as holding:
            lock_recipe(holding, recipe(db))  # the search waits for it, in its transaction
            first = started(db)
            assert started(db) == first  # it is under way
            wait_until(
                lambda: (
                    (progress := search_of(db, "kept", first).progress) is not None
                    and progress.phase == "reading"
                ),
                DEADLINE_S,
                "the search to be under way",
            )
            cancel(db, "kept", first)
            wait_until(
                lambda: search_of(db, "kept", first).status == Status.CANCELLED,
                DEADLINE_S,
                "the search to be cancelled",
            )
        assert calibrations_of(db, "kept") == []
        second = started(db)
        wait_until(
            lambda: search_of(db, "kept", second).status not in ("queued", "in_progress"),
            DEADLINE_S,
            "the search to end",
        )
    search = search_of(db, "kept", second)
    assert (search.status, search.error) == (Status.COMPLETED, None)
    (held,) = calibrations_of(db, "kept")
    assert (held.id, held.state) == (search.calibration["id"], "in_force")
    assert held.samples + held.fitted == 1_000
    assert 0.8 < held.coverage < 1.0
    with pytest.raises(NotEnoughData, match="not enough data: 0 new outcomes"):
        started(db)


def test_a_long_search_is_not_cut_off_in_its_transaction(db: Database) -> None:
    add_outcomes(db, "kept", recipe(db), 1_000)
    db.execute("SET idle_in_transaction_session_timeout = '15s'")  # as of each connection
    seen: dict[str, str] = {}

    def note(phase: str) -> None:
        row = db.execute("SHOW idle_in_transaction_session_timeout").fetchone()
        assert row is not None
        seen[phase] = row[0]

    calibrate(db, "kept", WANTED, watch=Watch(progress=note))
    note("afterwards")
    assert (seen["testing"], seen["afterwards"]) == ("0", "15s")


def test_what_cannot_be_searched_is_refused_before_it_is_queued(db: Database) -> None:
    with pytest.raises(NotEnoughData, match="not enough data: 0 new outcomes of kept"):
        started(db)
    apply_feature(db, FEATURE.replace("threshold: calibrated", "threshold: 1.0"))
    with pytest.raises(Conflict, match="not recorded as outcomes"):
        started(db)
    assert db.execute("SELECT count(*) FROM operations").fetchone() == (0,)


def test_a_promise_is_tested_for_a_fixed_threshold_too_and_changes_nothing(db: Database) -> None:
    fixed = FEATURE.replace("threshold: calibrated", "threshold: 1.0")
    apply_feature(db, f"{fixed}shadow: {{share: 0.5}}\n")
    add_outcomes(db, "kept", recipe(db), 400)
    made = calibrate(db, "kept", WANTED)
    assert made.threshold is not None
    assert made.state == "not_applied"
    assert [one.state for one in calibrations_of(db, "kept")] == ["not_applied"]
