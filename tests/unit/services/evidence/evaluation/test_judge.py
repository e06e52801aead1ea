"""Reading a judge's answer."""

import pytest

from tierline.services.evidence.evaluation.judge import read_judgement


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"same": true}', True),
        ('Sure: {"same": false}.', False),
        ("yes", None),
        ('{"same": "yes"}', None),
        ("[]", None),
    ],
)
def test_only_what_it_was_asked_for_is_read(text: str, said: bool | None) -> None:
    assert read_judgement(text) is said
