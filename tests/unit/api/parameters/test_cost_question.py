"""What may be asked of a feature's economics in the query."""

from decimal import Decimal

import pytest

from api.parameters.cost_question import cost_question
from tierline.base.errors import InvalidInput

VOLUME = {"requests_per_day": "1000", "peak_per_s": "1"}


def test_without_a_question_there_is_none() -> None:
    assert cost_question() is None


def test_a_question_holds_what_was_given() -> None:
    question = cost_question(
        **VOLUME,
        machine_usd_per_hour="1.5",
        machine_requests_per_s="3",
        input_tokens="500",
        escalation_rate="0",
    )
    assert question is not None
    assert question.machine is not None
    assert (question.machine.usd_per_hour, question.input_tokens) == (Decimal("1.5"), Decimal(500))
    assert (question.escalation_rate, question.output_tokens) == (Decimal(0), None)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"requests_per_day": "0", "peak_per_s": "1"}, "/requests_per_day"),
        ({"peak_per_s": "1"}, "/requests_per_day"),
        ({"input_tokens": "5"}, "/peak_per_s"),
        ({**VOLUME, "machine_usd_per_hour": "1"}, "/machine_usd_per_hour"),
        ({**VOLUME, "escalation_rate": "1.5"}, "/escalation_rate"),
        ({"requests_per_day": "86400", "peak_per_s": "0.5"}, "/peak_per_s"),
    ],
)
def test_what_cannot_be_worked_out_is_refused(given: dict[str, str], path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        cost_question(**given)
    assert path in {problem.path for problem in refused.value.problems}
