"""Labels are compared with labels of the same models."""

from tierline.services.evidence.watch.drift_references import same_models


def test_labels_are_held_against_those_of_the_same_models_alone() -> None:
    kept = {"document": {"models": ["large-1"]}}
    assert same_models(kept, [{"model": "large-1"}, {"model": None}])
    assert not same_models(kept, [{"model": "large-1"}, {"model": "micro-3"}])
    assert same_models({"document": {}}, [{"model": "micro-3"}])  # of an earlier release
