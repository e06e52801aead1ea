"""Which outcomes the scores are fitted on, and which the promise is tested on."""

from dataclasses import replace

import pytest

from tests.support.database.rows import two_tiers
from tierline.base.ids import new_id
from tierline.base.json_text import digest_of
from tierline.routing.thresholds.promise import FIT_SHARE, fits_scores, fits_scores_by_job
from tierline.services.evidence.calibration.calibration_outcomes import with_embeddings
from tierline.storage.evidence.outcomes import ComparedOutcome

OUTCOME = ComparedOutcome(
    seq=1,
    job_id=new_id(),
    attempt=1,
    signals={},
    inclusion=1.0,
    served=False,
    differs=False,
    reference_by="openai:large",
    fits_scores=None,
    vector=None,
    output=None,
)


def test_the_stored_side_counts_and_without_one_the_job_decides() -> None:
    rows = [replace(OUTCOME, job_id=new_id(), fits_scores=side) for side in (True, False, None)]
    sides = [one.fits_scores for one in with_embeddings(two_tiers(), rows)]
    assert sides == [True, False, fits_scores_by_job(rows[2].job_id)]


def test_equal_inputs_are_on_one_side_however_they_are_written() -> None:
    assert fits_scores(digest_of({"a": 1, "b": 2})) == fits_scores(digest_of({"b": 2.0, "a": 1}))
    sides = [fits_scores(digest_of({"text": str(number)})) for number in range(1_000)]
    assert sum(sides) / 1_000 == pytest.approx(FIT_SHARE, abs=0.05)
