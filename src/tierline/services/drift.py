"""Daily looks at whether a feature's inputs and answers still are what its evidence was made on.

When they are not, its calibrations end, since they promise nothing of such traffic, and whoever
uses the feature is told, once.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tierline.checks.labels import closed_set
from tierline.drift.looks import (
    MOST_LIVE,
    Look,
    Reference,
    Seen,
    State,
    look,
    reference_of,
)
from tierline.drift.wealth import LOOKS, Wealth
from tierline.embeddings import DIMENSIONS
from tierline.errors import NotFound, TierlineError
from tierline.features import Feature
from tierline.json_text import JSON, canonical_json
from tierline.prompts import input_text
from tierline.routing.decide import share_of
from tierline.routing.novelty import packed, unpacked
from tierline.services.announce import announce_feature
from tierline.services.recipes import recipe_of
from tierline.storage import drift
from tierline.storage.features import current_versions, stored_version
from tierline.views import when
from tierline.webhooks.events import DRIFT, REFRESH_DUE, drift_body, refresh_body

log = structlog.get_logger(__name__)

EVERY = timedelta(days=1)
CHECK_S = 600.0  # how often a process looks whether a look is due
MOST_KNOWN = 1_500  # inputs of a reference
MOST_A_LOOK = 200  # inputs
FEWEST_A_LOOK = 20  # with fewer a look waits
MOST_READ = 5_000  # jobs, of which those are drawn
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
MOST_NOVEL = 20  # inputs of a new kind that are named

Row = Mapping[str, Any]


@dataclass
class Drift:
    """Takes the looks, in a process that sweeps."""

    pool: ConnectionPool[Any]
    _checked_s: float | None = field(default=None)

    def look_due(self, until_s: float) -> int:
        """Take the looks that are due, until the monotonic time `until_s`; how many. Safe beside
        others that do the same: of two looks for one day one counts. Does nothing where no
        embeddings can be made.
        """
        now_s = time.monotonic()
        if self._checked_s is not None and now_s - self._checked_s < CHECK_S:
            return 0
        self._checked_s = now_s
        embedder: Any = None
        count = 0
        with self.pool.connection() as connection:
            features = [Feature.from_dict(one.document) for one in current_versions(connection)]
        for feature in features:
            if time.monotonic() > until_s:
                self._checked_s = None  # the next round goes on
                break
            with self.pool.connection() as connection:
                due = _due(connection, feature)
            if due is None:
                continue
            if embedder is None:
                from tierline.embeddings import Embedder

                try:
                    embedder = Embedder()  # for this round: its memory is given back
                except TierlineError as error:
                    log.warning("drift_not_looked_at", reason=error.message)
                    return 0
            count += self._look(feature, due, embedder)
        return count

    def _look(self, feature: Feature, due: "_Due", embedder: Any) -> bool:
        with self.pool.connection() as connection:
            kept = drift.reference(connection, feature.name, due.evidence["evidence"])
            if kept is None:
                _make_reference(connection, feature, due.evidence, embedder)
                return False  # what comes from now on is looked at
            newest = next(iter(drift.looks(connection, kept["id"], 1)), None)
            after = kept["created_at"] if newest is None else newest["up_to"]
            rows = _drawn(
                drift.sample(connection, due.versions, after, due.now, MOST_READ), MOST_A_LOOK
            )
            wrong = drift.audited(connection, feature.name, after, due.now)
        if len(rows) < FEWEST_A_LOOK:
            return False
        reference = _reference(kept)
        if reference is None:
            return False
        state, number, earlier = _carried(newest)
        seen = _seen(feature, rows, embedder, wrong)
        found = look(reference, state, earlier, seen)
        lately = seen.vectors if earlier is None else _joined(earlier, seen.vectors)
        with self.pool.connection() as connection, connection.transaction():
            kept_look = drift.add_look(
                connection,
                {
                    "reference_id": kept["id"],
                    "number": number,
                    "inputs": len(rows),
                    "money": found.money,
                    "alarm": found.alarm,
                    "document": _document(found, rows),
                    "up_to": due.now.isoformat(),
                },
                packed(lately[-MOST_LIVE:]),
            )
            if kept_look and found.alarm:
                _alarm(connection, feature, kept, found, rows)
            if kept_look:
                _remind(connection, feature, kept, rows, due.now)
        return kept_look


def drift_of(
    connection: Connection[Any], name: str, account_id: int | None = None
) -> dict[str, JSON]:
    """How a feature's inputs and answers stand against its evidence, with examples of a new kind of
    input from the account's own jobs, or from all where none is named. Raises NotFound.
    """
    version = None if "\x00" in name else stored_version(connection, name)
    if version is None:
        raise NotFound(f"there is no feature {name[:80]!r}")
    feature = Feature.from_dict(version.document)
    known = drift.evidence(connection, name, _recipes(connection, feature))
    kept = drift.newest_reference(connection, name)
    rows = [] if kept is None else drift.looks(connection, kept["id"])
    newest = rows[0] if rows else None
    examples: list[tuple[str, JSON]] = []
    if newest is not None:
        examples = drift.inputs_of(connection, newest["document"]["novel_jobs"], account_id)
    evidence_at = None if known is None else known["made_at"]
    stale = evidence_at is not None and (
        datetime.now(UTC) - evidence_at > timedelta(days=feature.refresh_days)
    )
    return {
        "feature": name,
        "evidence": None if known is None else known["evidence"],
        "evidence_at": when(evidence_at),
        "refresh_days": feature.refresh_days,
        "refresh_due": stale,
        "reference": None
        if kept is None
        else {
            "evidence": kept["evidence"],
            "inputs": kept["inputs"],
            "created_at": when(kept["created_at"]),
        },
        "drifted": newest is not None and newest["alarm"],
        "moved": [] if newest is None else list(newest["document"]["moved"]),
        "figures": [] if newest is None else _figures(newest["document"]),
        "looks": [
            {
                "number": row["number"],
                "at": when(row["looked_at"]),
                "inputs": row["inputs"],
                "money": row["money"],
                "alarm": row["alarm"],
            }
            for row in rows
        ],
        "examples": [{"job_id": id, "input": input} for id, input in examples],
    }


@dataclass(frozen=True)
class _Due:
    evidence: Row
    versions: list[int]
    now: datetime


def _due(connection: Connection[Any], feature: Feature) -> _Due | None:
    recipes = _recipes(connection, feature)
    if not recipes:
        return None
    known = drift.evidence(connection, feature.name, recipes)
    if known is None:
        return None
    now = _now(connection)
    kept = drift.reference(connection, feature.name, known["evidence"])
    if kept is not None:
        newest = next(iter(drift.looks(connection, kept["id"], 1)), None)
        last = kept["created_at"] if newest is None else newest["looked_at"]
        if now - last < EVERY:
            return None
    return _Due(known, drift.version_ids(connection, feature.name), now)


def _recipes(connection: Connection[Any], feature: Feature) -> list[str]:
    """Of the tiers that anything was found out about, as they stand now."""
    allowed = feature.allowed_tiers()
    return [recipe_of(connection, feature, tier) for tier in allowed[:-1]]


def _make_reference(
    connection: Connection[Any], feature: Feature, known: Row, embedder: Any
) -> None:
    versions = drift.version_ids(connection, feature.name)
    rows = _drawn(
        drift.sample(connection, versions, BEGINNING, known["made_at"], MOST_READ), MOST_KNOWN
    )
    seen = _seen(feature, rows, embedder, ())
    if reference_of(seen) is None:
        return  # too few still have their input: looked for again tomorrow
    served = known["served"]
    drift.add_reference(
        connection,
        {
            "feature": feature.name,
            "evidence": known["evidence"],
            "evidence_at": known["made_at"],
            "inputs": len(rows),
            "vectors": packed(seen.vectors),
            "document": {
                "lengths": list(seen.lengths),
                "labels": list(seen.labels),
                "errors": None if not served else [known["errors"], served],
            },
        },
    )


def _reference(kept: Row) -> Reference | None:
    document = kept["document"]
    seen = Seen(unpacked(kept["vectors"], DIMENSIONS), document["lengths"], document["labels"])
    errors = document["errors"]
    return reference_of(seen, None if errors is None else (errors[0], errors[1]))


def _carried(newest: Row | None) -> tuple[State, int, Any]:
    """The state, the next look's number and the latest inputs; a new term begins with none."""
    import numpy as np

    nothing = np.zeros((0, DIMENSIONS), dtype=np.float32)
    if newest is None:
        return State(), 1, nothing
    earlier = nothing if newest["vectors"] is None else unpacked(newest["vectors"], DIMENSIONS)
    kept = newest["document"]["state"]
    if kept["looks"] >= LOOKS:
        return State(), newest["number"] + 1, earlier
    wealth = {key: Wealth.from_list(bets) for key, bets in kept["wealth"].items()}
    return State(kept["looks"], wealth), newest["number"] + 1, earlier


def _drawn(rows: Sequence[Row], most: int) -> list[Row]:
    """Up to `most` of the jobs, each input once, drawn by their ids; in the order they ended."""
    once = {canonical_json(row["input"]): row for row in rows}
    drawn = sorted(once.values(), key=lambda row: share_of("drift", str(row["id"])))[:most]
    return sorted(drawn, key=lambda row: (row["completed_at"], row["id"]))


def _seen(feature: Feature, rows: Sequence[Row], embedder: Any, wrong: Sequence[bool]) -> Seen:
    texts = [input_text(row["input"]) for row in rows]
    return Seen(
        embedder.embed(texts),
        [len(text) for text in texts],
        list(_labels(feature, rows)),
        wrong,
    )


def _labels(feature: Feature, rows: Sequence[Row]) -> Iterator[str | None]:
    labels = closed_set(feature.output_schema)
    for row in rows:
        try:
            yield None if labels is None else labels.unwrap(row["output"])
        except (KeyError, TypeError):
            yield None  # it failed, or it is an answer of another version


def _document(found: Look, rows: Sequence[Row]) -> dict[str, JSON]:
    return {
        "state": {
            "looks": found.state.looks,
            "wealth": {key: wealth.to_list() for key, wealth in found.state.wealth.items()},
        },
        "by": dict(found.by),
        "means": {key: list(mean) for key, mean in found.means.items()},
        "moved": _moved(found),
        "novel_jobs": [str(rows[place]["id"]) for place in found.novel[:MOST_NOVEL]],
    }


def _moved(found: Look) -> list[str]:
    """The figures that won most, where there is an alarm."""
    if not found.alarm:
        return []
    return sorted((name for name in found.by if found.by[name] >= 1.0), key=lambda n: -found.by[n])


def _figures(document: Row) -> list[JSON]:
    return [
        {"name": key, "mean": mean, "least": low, "most": high}
        for key, (mean, low, high) in document["means"].items()
    ]


def _alarm(
    connection: Connection[Any], feature: Feature, kept: Row, found: Look, rows: Sequence[Row]
) -> None:
    at = drift.tell_once(connection, kept["id"], "alarm_told_at")
    if at is None:
        return
    moved = _moved(found)
    reason = f"what it was made on has changed: {', '.join(moved)}"
    ended = drift.withdraw_all(connection, feature.name, _recipes(connection, feature), reason)
    body = drift_body(at, feature.name, kept["evidence"], moved)
    announce_feature(connection, DRIFT, sorted({row["account_id"] for row in rows}), body)
    log.warning("feature_drift", feature=feature.name, moved=moved, calibrations_ended=ended)


def _remind(
    connection: Connection[Any], feature: Feature, kept: Row, rows: Sequence[Row], now: datetime
) -> None:
    if now - kept["evidence_at"] < timedelta(days=feature.refresh_days):
        return
    at = drift.tell_once(connection, kept["id"], "refresh_told_at")
    if at is None:
        return
    body = refresh_body(at, feature.name, kept["evidence"], kept["evidence_at"])
    announce_feature(connection, REFRESH_DUE, sorted({row["account_id"] for row in rows}), body)
    log.info("feature_refresh_due", feature=feature.name, evidence=kept["evidence"])


def _joined(earlier: Any, vectors: Any) -> Any:
    import numpy as np

    return np.concatenate([earlier, vectors])


def _now(connection: Connection[Any]) -> datetime:
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    found: datetime = row[0]
    return found
