"""How long an evaluation waits for its next step."""

import pytest

from tierline.services.evidence.evaluation.evaluation_steps import Step, pause_s


@pytest.mark.parametrize(
    ("step", "took_s", "pause"),
    [
        (Step(queued=20, idle_s=60.0), 0.001, 0.2),  # jobs end: the next come soon
        (Step(queued=0, idle_s=0.4), 0.001, 0.2),
        (Step(queued=0, idle_s=4.0), 0.001, 1.0),  # none ended for a while
        (Step(queued=0, idle_s=600.0), 0.001, 5.0),
        (Step(queued=20), 0.5, 1.0),  # steps take a third of the time at most
        (Step(queued=20), 3.0, 5.0),
        (Step(queued=0, waits_for="budget"), 0.001, 30.0),
    ],
)
def test_a_pause_is_short_while_jobs_end_and_bounded_by_what_a_step_takes(
    step: Step, took_s: float, pause: float
) -> None:
    assert pause_s(step, took_s) == pytest.approx(pause)
