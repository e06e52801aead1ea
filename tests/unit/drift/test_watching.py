"""What watches a promise, and what to do where nothing does."""

from dataclasses import replace

from tierline.drift.watching import FEWEST_LABELS, Watching

NOTHING = Watching("calibration 7", drift=False, drift_soon=False, shadow=False, labels=0)


def test_without_drift_shadows_and_feedback_nothing_watches() -> None:
    assert NOTHING.by == []
    command, why = NOTHING.next("tickets") or ("", "")
    assert command == "tierline features apply FILE"
    assert "shadow: {share: 0.02, usd_per_day: 2}" in why


def test_a_reference_that_is_about_to_be_stored_is_waited_for() -> None:
    command, _ = replace(NOTHING, drift_soon=True).next("tickets") or ("", "")
    assert command == "tierline drift tickets"


def test_each_of_the_three_is_enough() -> None:
    for more in ({"drift": True}, {"shadow": True}, {"labels": FEWEST_LABELS}):
        one = replace(NOTHING, **more)  # type: ignore[arg-type]
        assert len(one.by) == 1
        assert one.next("tickets") is None


def test_a_few_labels_are_not_enough() -> None:
    assert replace(NOTHING, labels=FEWEST_LABELS - 1).by == []
