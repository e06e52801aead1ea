"""An answer in JSON has the headers that the framework's response would have."""

from collections.abc import Mapping

import pytest
from fastapi import Response

from api.http.bodies import JsonAnswer


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Location": "/v1/jobs/1", "Retry-After": "1"},
        {"ETag": '"é"', "Cache-Control": "private"},
    ],
)
def test_an_answer_has_the_headers_of_a_response(headers: Mapping[str, str]) -> None:
    body = '{"a":"é"}'.encode()
    ours = JsonAnswer(body, 202, headers)
    theirs = Response(body, 202, headers, "application/json")
    assert ours.raw_headers == theirs.raw_headers
    assert ours.headers["content-type"] == "application/json"
    assert (ours.body, ours.status_code) == (theirs.body, theirs.status_code)
