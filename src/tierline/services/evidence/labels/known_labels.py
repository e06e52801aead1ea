"""The inputs of a feature's jobs that have a label."""

from typing import Any

from psycopg import Connection

from tierline.base.json_text import JSON
from tierline.checks.labels import LabelSet, closed_set
from tierline.checks.schema import schema_check
from tierline.features import Feature
from tierline.routing.thresholds.sampling import representative
from tierline.storage.evidence.labels import labels
from tierline.views.evidence.datasets import KnownLabel


def known_labels(
    connection: Connection[Any], feature: Feature, account_id: int | None
) -> list[KnownLabel]:
    """Job inputs with the output that people or the last tier gave as the right one, newest first.
    From one account's jobs, or from all. The same input may occur several times.

    `representative` marks a row that was drawn independently of its answer. `label` is set if the
    outputs are a closed set. Outputs of earlier versions that do not fit the current schema or
    labels are excluded.
    """
    allowed = closed_set(feature.output_schema)
    fits = schema_check(feature.output_schema).fits
    rows = labels(connection, feature.name, feature.allowed_tiers()[-1].name, account_id)
    stand_for_all = representative(rows)
    usable = []
    for row in rows:
        label = None if allowed is None else _label(allowed, row.expected)
        if not fits(row.expected) or (allowed is not None and label is None):
            continue
        usable.append(
            KnownLabel(
                job_id=row.job_id,
                input=row.input,
                expected=row.expected,
                label=label,
                said_by=row.said_by,
                representative=row.job_id in stand_for_all,
            )
        )
    return usable


def _label(allowed: LabelSet, output: JSON) -> str | None:
    try:
        label = allowed.unwrap(output)
    except (KeyError, TypeError):
        return None
    return label if label in allowed.labels else None
