"""Deprecated routes work as before, and say what replaces them."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tests.support.api.served import Api


def test_the_former_path_of_decisions_answers_the_same_and_names_the_new_one(api: Api) -> None:
    job = api.submit()["id"]
    old, new = api.get(f"/v1/jobs/{job}/route"), api.get(f"/v1/jobs/{job}/decisions")
    assert old.status_code == new.status_code == 200
    assert old.json() == new.json()
    assert old.headers["Link"] == f'</v1/jobs/{job}/decisions>; rel="successor-version"'
    since = datetime.fromtimestamp(int(old.headers["Deprecation"].removeprefix("@")), UTC)
    assert since < parsedate_to_datetime(old.headers["Sunset"])
    assert "Deprecation" not in new.headers


def test_the_document_marks_deprecated_routes(api: Api) -> None:
    paths = api.document["paths"]
    assert paths["/v1/jobs/{job_id}/route"]["get"]["deprecated"] is True
    assert "Sunset" in paths["/v1/jobs/{job_id}/route"]["get"]["responses"]["200"]["headers"]
