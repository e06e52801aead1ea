"""The tables that are partitioned by time, and the storage options of hot tables.

A list without SQLAlchemy, which takes half a second to import. A test compares it with the tables.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# Queue rows are rewritten two or three times: leave room on the page, and run autovacuum by the
# number of changed rows, not by their share of a table that only grows.
QUEUE_STORAGE = {
    "fillfactor": "80",
    "autovacuum_vacuum_scale_factor": "0.02",
    "autovacuum_vacuum_threshold": "2000",
    "autovacuum_analyze_scale_factor": "0.05",
}


@dataclass(frozen=True)
class Parent:
    """A partitioned table, and the UUIDv7 column that its partitions are ranges of."""

    table: str
    key: str
    storage: Mapping[str, str] = field(default_factory=dict)  # of its partitions; it has none


PARENTS = (
    Parent("jobs_ended", "id"),
    Parent("deliveries", "id", QUEUE_STORAGE),
    Parent("outcomes", "job_id"),
    Parent("answers", "job_id"),
    Parent("calls", "job_id", QUEUE_STORAGE),
    Parent("attempts", "job_id", QUEUE_STORAGE),
    Parent("job_requests", "job_id"),
)
"""In the order in which their partitions of one week are dropped."""

_PARTITION = re.compile(
    rf"({'|'.join(parent.table for parent in PARENTS)})_(before|beyond|\d{{8}})|jobs_before"
)


def is_history(name: str) -> bool:
    """Whether a table is a partition of one of `PARENTS`, attached or not."""
    return _PARTITION.fullmatch(name) is not None


def declared(name: str | None, kind: str, _parents: object) -> bool:
    """Alembic's `include_name`: what to compare with the metadata, which has no partitions."""
    return kind != "table" or name is None or not is_history(name)
