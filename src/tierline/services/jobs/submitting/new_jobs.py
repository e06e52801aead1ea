"""A new job: the row to write, and what its caller gets.

Pure: `submit` and `submit_many` write the rows.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tierline.features import Feature
from tierline.routing.first_tier import JobOrigin, first_tier
from tierline.rules.jobs import TERMINAL
from tierline.rules.queues import lane
from tierline.services.jobs.submitting.current_versions import Current
from tierline.services.jobs.submitting.submission import Submission
from tierline.storage.jobs.submissions import NewJob
from tierline.views.jobs.jobs import JobRow, new_job_row


@dataclass(frozen=True)
class Submitted:
    """The job that a submission created or, by its key, repeats."""

    job_id: UUID
    row: JobRow
    replayed: bool = False  # its key was used before, and this is the earlier job

    @property
    def ended(self) -> bool:
        return self.row["status"] in TERMINAL


def new_job(
    job_id: UUID,
    account_id: int,
    account: str,
    submission: Submission,
    current: Current,
    key: str | None,
    payload_hash: bytes | None,
) -> NewJob:
    """The row to write. `account` is the account's name: a feature may pin its first tier."""
    decision, place = current.decision, current.place
    if current.varies:
        feature = current.version.feature
        sticky = submission.session or submission.user or str(job_id)
        decision = first_tier(feature, JobOrigin(account, sticky))
        place = feature.place(decision.tier_index)
    return NewJob(
        job_id=job_id,
        account_id=account_id,
        version_id=current.id,
        tier=decision.choice,
        tier_index=decision.tier_index,
        queue=lane(place, backfill=False),
        key=key,
        payload_hash=payload_hash,
        decision=decision.to_dict() if current.varies else None,
        **vars(submission),
    )


def submitted(new: NewJob, current: Current, created_at: datetime) -> Submitted:
    """A job just written. Its row is the same as if it were read from the database."""
    feature = current.version.feature
    default = new.tier_index == current.decision.tier_index
    row = new_job_row(
        new.job_id,
        feature=new.feature,
        feature_version=current.version.version,
        tier=new.tier,
        place=current.place if default else feature.place(new.tier_index),
        own_label=_own_label(feature, new.tier),
        metadata=new.metadata,
        user=new.user,
        session=new.session,
        created_at=created_at,
    )
    return Submitted(new.job_id, row)


def _own_label(feature: Feature, tier: str) -> str | None:
    labels = feature.status_labels
    return (labels[tier] or "") if tier in labels else None
