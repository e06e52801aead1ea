"""What a call is booked as."""

import pytest

from tierline.rules.purposes import UPKEEP, Purpose, purpose_of_call


@pytest.mark.parametrize("first", sorted(UPKEEP))
@pytest.mark.parametrize("wanted", list(Purpose))
def test_every_call_of_a_job_that_compares_answers_has_its_purpose(
    first: Purpose, wanted: Purpose
) -> None:
    assert purpose_of_call(first, wanted) == first


@pytest.mark.parametrize("first", sorted(set(Purpose) - UPKEEP))
@pytest.mark.parametrize("wanted", list(Purpose))
def test_a_call_of_a_callers_job_has_its_own(first: Purpose, wanted: Purpose) -> None:
    assert purpose_of_call(first, wanted) == wanted
