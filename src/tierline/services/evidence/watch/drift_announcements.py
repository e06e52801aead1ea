"""What follows a drift check. An alarm ends the calibrations. Old evidence is announced once."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog
from psycopg import Connection

from tierline.base.errors import TierlineError
from tierline.drift.daily_check import (
    DayCheck,
)
from tierline.features import Feature
from tierline.services.evidence.watch.drift_references import Standing, add_reference, early_recipes
from tierline.services.evidence.watch.promotions import demote_promoted
from tierline.services.webhooks.announce import announce_feature
from tierline.storage.evidence import drift
from tierline.storage.evidence.drift import DriftReference, SampledJob
from tierline.webhooks.events import DRIFT, REFRESH_DUE, drift_body, refresh_body

log = structlog.get_logger(__name__)

MOST_SAMPLED = 200  # recent jobs whose accounts are notified


def moved_figures(check: DayCheck) -> list[str]:
    """The figures with evidence of change, strongest first, if there is an alarm. Empty without an
    alarm.
    """
    if not check.alarm:
        return []
    return sorted((name for name in check.by if check.by[name] > 1.0), key=lambda n: -check.by[n])


def announce_change(
    connection: Connection[Any],
    feature: Feature,
    kept: DriftReference,
    check: DayCheck,
    rows: Sequence[SampledJob],
) -> None:
    """Announce once that the traffic has changed, and withdraw what was promised for the earlier
    traffic.
    """
    at = drift.announce_once(connection, kept["id"], "alarm_announced_at")
    if at is None:
        return
    moved = moved_figures(check)
    reason = f"the traffic has changed: {', '.join(moved)}"
    ended = drift.withdraw_all(connection, feature.name, early_recipes(connection, feature), reason)
    try:
        demote_promoted(connection, feature.name, reason)
    except TierlineError as error:  # its file cannot be applied now; the alarm is still announced
        log.warning("feature_not_demoted", feature=feature.name, reason=error.message)
    body = drift_body(at, feature.name, kept["evidence"], moved)
    announce_feature(connection, DRIFT, _to_notify(connection, rows), body)
    log.warning("feature_drift", feature=feature.name, moved=moved, calibrations_ended=ended)


def announce_refresh(connection: Connection[Any], feature: Feature, state: Standing) -> None:
    """Announce once that the evidence is old. If there is no reference yet, an empty one records
    the announcement.
    """
    evidence = state.evidence
    if state.refresh_announced or not feature.needs_refresh(evidence["made_at"], state.now):
        return
    with connection.transaction():
        add_reference(connection, feature, evidence, 0, b"", {})
        kept = drift.reference(connection, feature.name, evidence["evidence"])
        assert kept is not None, "it was just added"
        at = drift.announce_once(connection, kept["id"], "refresh_announced_at")
        if at is None:
            return
        since = state.now - timedelta(days=feature.refresh_days)
        users = drift.sample(connection, state.versions, since, state.now, MOST_SAMPLED)
        body = refresh_body(at, feature.name, evidence["evidence"], evidence["made_at"])
        announce_feature(connection, REFRESH_DUE, _to_notify(connection, users), body)
    log.info("feature_refresh_due", feature=feature.name, evidence=evidence["evidence"])


def _to_notify(connection: Connection[Any], rows: Sequence[SampledJob]) -> list[int]:
    """The accounts to notify: those of the checked jobs, and the operators'."""
    return sorted({row["account_id"] for row in rows} | drift.operators(connection))
