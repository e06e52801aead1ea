"""Models are features."""

import pytest

from tierline.base.errors import InvalidInput, NotFound
from tierline.openai_requests.model_names import check_current, read_model_name


def test_a_model_is_a_feature_or_a_version_of_one() -> None:
    assert read_model_name("invoice-fields") == ("invoice-fields", None)
    assert read_model_name("invoice-fields@12") == ("invoice-fields", 12)


@pytest.mark.parametrize("text", ["", None, 5, ["x"], "x@", "x@latest", "x@-1", "x@1.0", "x@²"])
def test_anything_else_is_refused(text: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_model_name(text)
    assert refused.value.problems[0].path == "/model"


def test_only_the_current_version_runs_jobs() -> None:
    check_current("x", None, 3)
    check_current("x", 3, 3)
    with pytest.raises(NotFound, match="x@3"):
        check_current("x", 2, 3)
