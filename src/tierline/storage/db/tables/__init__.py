"""The tables, a module a concern. Column comments are the reference; migrations are written from
and compared to this.
"""

from tierline.storage.db.tables import (
    accounts,
    batches,
    bulk_actions,
    calls,
    console,
    evidence,
    features,
    files,
    jobs,
    money,
    operations,
    reviews,
    steering,
    sums,
    webhooks,
)
from tierline.storage.db.tables.shared import metadata

__all__ = [
    "accounts",
    "batches",
    "bulk_actions",
    "calls",
    "console",
    "evidence",
    "features",
    "files",
    "jobs",
    "metadata",
    "money",
    "operations",
    "reviews",
    "steering",
    "sums",
    "webhooks",
]
