"""Ends the claim of a job, as a worker does."""

from decimal import Decimal
from typing import Any

import psycopg

from tests.support.database.rows import two_tiers
from tierline.rules.jobs import CheckFailed, JobState, Passed, Route, Status, next_state
from tierline.rules.queues import lane
from tierline.rules.verdicts import Verdict
from tierline.storage.jobs import finishes
from tierline.storage.jobs.claims import Claim
from tierline.storage.jobs.finishes import Ended, Settlement, Standing

QUEUES = ["slm", "deeper-analysis"]
RIGHT = Ended(Verdict.PASSED, None, 0.5, "small-1", '{"text": "hello"}', {"text": "hello"}, True)
WRONG = Ended(Verdict.SCHEMA, "text is missing", 0.5, "small-1", "{}", {}, True)
PAID = Settlement(
    1, "answer", "openai:small", 0.4, "small-1", input_tokens=10, cost_usd=Decimal("0.001")
)


def finish(
    connection: psycopg.Connection[Any], taken: Claim, ended: Ended, settled: Settlement
) -> None:
    outcome = Passed() if ended.verdict is Verdict.PASSED else CheckFailed(ended.verdict, "wrong")
    state = JobState(Status.IN_PROGRESS, taken.tier_index)
    transition = next_state(state, outcome, Route(tiers=(0, 1)))
    finishes.finish(
        connection,
        taken,
        tier=two_tiers().tiers[transition.job.tier_index].name,
        queue=lane(transition.job.tier_index, backfill=False),
        transition=transition,
        assumed=Standing(Status.IN_PROGRESS, taken.token, False, False, False, None),
        ended=ended,
        settled=settled,
        announced=False,
    )
