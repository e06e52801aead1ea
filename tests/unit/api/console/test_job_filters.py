"""The filters of the list of jobs."""

import pytest

from api.console.views.job_filters import read_filters
from tierline.base.errors import InvalidInput
from tierline.base.ids import new_id


def test_an_empty_form_lists_all_jobs_but_drafts() -> None:
    filters, selection = read_filters({"feature": "", "tier": " ", "status": "", "batch": ""})
    assert not filters.any
    assert (selection.feature, selection.tier, selection.status, selection.batch_id) == (
        None,
        None,
        None,
        None,
    )
    assert selection.drafts is False
    assert filters.query() == ""


def test_a_page_keeps_the_filters_of_the_one_before() -> None:
    batch = str(new_id())
    query = {"feature": "a b&c", "status": "failed", "batch": batch, "drafts": "1"}
    filters, selection = read_filters(query)
    assert (selection.feature, selection.status, str(selection.batch_id)) == (
        "a b&c",
        "failed",
        batch,
    )
    assert (
        filters.query("czE") == f"feature=a+b%26c&status=failed&batch={batch}&drafts=1&cursor=czE"
    )


@pytest.mark.parametrize(
    "query",
    [
        {"status": "done"},
        {"batch": "1"},
        {"feature": "x" * 64},
        {"tier": "a\x00"},
        {"feature": "\ud800"},
    ],
    ids=str,
)
def test_what_no_job_can_have_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        read_filters(query)
