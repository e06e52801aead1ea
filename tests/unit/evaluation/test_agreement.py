"""Cohen's kappa."""

import pytest

from tierline.evaluation.agreement import agreement


@pytest.mark.parametrize(
    ("pairs", "kappa"),
    [
        # Cohen (1960) as worked in textbooks: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no.
        ([(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15, 0.4),
        ([(1, 1), (0, 0)], 1.0),
        ([(1, 0), (0, 1)], -1.0),
        ([(1, 1), (1, 0), (0, 1), (0, 0)], 0.0),
        ([("a", "a"), ("b", "b"), ("c", "c"), ("a", "b")], 7 / 11),
    ],
)
def test_kappa_is_the_agreement_beyond_chance(pairs: list[tuple[int, int]], kappa: float) -> None:
    assert agreement(pairs).kappa == pytest.approx(kappa)


def test_kappa_is_undefined_without_answers_and_where_chance_explains_all() -> None:
    assert agreement([]).kappa is None
    assert agreement([]).share is None
    always = agreement([(True, True)] * 9)
    assert always.kappa is None
    assert always.share == 1.0
