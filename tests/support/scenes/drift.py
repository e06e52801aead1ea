"""Jobs of a calibrated feature, and daily looks at them."""

import json
import random
import time
from typing import Any

import pytest

from tests.support.database.rows import add_calibration, make_older
from tests.support.scenes.bench import Bench
from tierline.features import Feature
from tierline.services.evidence.watch.drift import Drift
from tierline.services.evidence.watch.drift_shown import drift_of
from tierline.services.steering.recipes import recipe_of

CALIBRATED = "confidence: {signal: agreement, samples: 2, threshold: calibrated}"


USUAL = (
    "invoice number {n} over {m} euros is due",
    "please pay {m} dollars for order {n}",
    "the bill {n} says {m} pounds",
    "reminder: {m} euros for contract {n} are open",
)


NEW = "the weather in town {n} will be {m} degrees and rain tomorrow"


@pytest.fixture
def answers(bench: Bench) -> None:
    bench.server.answer = lambda _: '{"amount": 1}'


@pytest.fixture
def draw() -> random.Random:
    return random.Random(3)


def jobs(bench: Bench, version: int, draw: random.Random, count: int, new: float = 0.0) -> None:
    """Jobs that have ended; of the new kind so many of them."""
    rows = []
    for _ in range(count):
        text = NEW if draw.random() < new else draw.choice(USUAL)
        input = text.format(n=draw.randrange(10_000), m=draw.randrange(5_000))
        rows.append(
            bench.submit(
                version, input, status="completed", completed_at=now(bench), answer_attempt=1
            )
        )


def now(bench: Bench) -> str:
    return str(bench.one("SELECT clock_timestamp()"))


def applied(bench: Bench, more: str = "") -> tuple[int, Feature]:
    bench.all("DELETE FROM features RETURNING name")  # other tests' are not this one's
    return bench.apply(f"{CALIBRATED}\n{more}")


def calibrated(bench: Bench, feature: Feature) -> int:
    with bench.pool.connection() as connection:
        id = add_calibration(connection, feature.name)
        made_by = recipe_of(connection, feature, feature.tiers[0])
        connection.execute("UPDATE calibrations SET recipe = %s WHERE id = %s", (made_by, id))
    return id


def look(bench: Bench) -> int:
    return Drift(bench.pool).look_due(time.monotonic() + 60)


def a_day_later(bench: Bench, feature: Feature) -> None:
    """All that was kept is a day older."""
    for table, column in (("drift_references", "created_at"), ("drift_looks", "looked_at")):
        bench.all(f"UPDATE {table} SET {column} = {column} - interval '25 hours' RETURNING id")
    bench.all("UPDATE drift_looks SET up_to = up_to - interval '25 hours' RETURNING id")
    with bench.pool.connection() as connection:
        make_older(connection, 25 * 3600)
    bench.all(
        "UPDATE calibrations SET created_at = created_at - interval '25 hours'"
        " WHERE feature = %s RETURNING id",
        feature.name,
    )


def shown(bench: Bench, feature: Feature, account: int | None = None) -> dict[str, Any]:
    with bench.pool.connection() as connection:
        drift: dict[str, Any] = json.loads(drift_of(connection, feature.name, account).to_json())
    return drift
