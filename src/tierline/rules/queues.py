"""The queues: lanes in the broker, by name, and which lane a job waits in.

A queue is where a hint goes; a tier is what answers. The first tier that calls a model waits in
`slm`, and so does a micro tier before it. Every later tier waits in `deeper-analysis`, whatever the
tiers are called.
"""

from collections.abc import Mapping
from types import MappingProxyType

SLM = "slm"
SLM_BACKFILL = "slm-backfill"
DEEPER = "deeper-analysis"
DEEPER_BACKFILL = "deeper-analysis-backfill"
QUARANTINE = "quarantine"
WEBHOOKS = "webhooks"
MAINTENANCE = "maintenance"

ALL = (SLM, SLM_BACKFILL, DEEPER, DEEPER_BACKFILL, QUARANTINE, WEBHOOKS, MAINTENANCE)

POOLS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        SLM: (SLM, SLM_BACKFILL),
        DEEPER: (DEEPER, DEEPER_BACKFILL),
        QUARANTINE: (QUARANTINE,),
    }
)
"""The queues of jobs that share a worker's threads, the interactive lane first."""

BACKFILLS = frozenset(queue for queues in POOLS.values() for queue in queues[1:])
"""The lanes of backfills, which share their threads with an interactive lane."""

JOBS = tuple(queue for queues in POOLS.values() for queue in queues)
"""Every queue that jobs wait in."""


def lane(place: int, *, backfill: bool, quarantined: bool = False) -> str:
    """The queue of a job that waits for the tier at that place: see Feature.place."""
    if quarantined:
        return QUARANTINE
    if place == 0:
        return SLM_BACKFILL if backfill else SLM
    return DEEPER_BACKFILL if backfill else DEEPER
