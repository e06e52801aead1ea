"""What a call is booked as."""

import pytest

from tierline.rules.purposes import UPKEEP, Purpose, purpose_of_call


@pytest.mark.parametrize("first", sorted(UPKEEP))
@pytest.mark.parametrize("purpose", list(Purpose))
def test_every_call_of_a_job_that_compares_answers_has_its_purpose(
    first: Purpose, purpose: Purpose
) -> None:
    assert purpose_of_call(first, purpose) == first


@pytest.mark.parametrize("first", sorted(set(Purpose) - UPKEEP))
@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_call_of_a_callers_job_has_its_own(first: Purpose, purpose: Purpose) -> None:
    assert purpose_of_call(first, purpose) == purpose
