"""What is wrong with a field is said in our own words, with the values that are allowed."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field

from api.http.bodies import read_model
from tierline.base.errors import InvalidInput


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    scope: Literal["submit", "read"] = "read"
    only: Literal["router"] = "router"
    name: str = Field(default="x", min_length=2, max_length=4)
    stored: Annotated[str, Field(pattern=r"^[^\x00]*$")] = ""
    amount: Annotated[str, Field(pattern="^[0-9]+$")] = "1"
    count: int = Field(default=1, ge=1, le=9)
    share: float = Field(default=0.5, gt=0, lt=1)
    tags: list[str] = Field(default=["a"], min_length=1, max_length=2)
    id: UUID | None = None
    at: datetime | None = None
    options: dict[str, int] = {}
    on: bool = False


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        ({"scope": "wirte"}, "/scope", "must be one of submit, read, not 'wirte'"),
        ({"scope": 7}, "/scope", "must be one of submit, read, not 7"),
        ({"scope": ["read"]}, "/scope", "must be one of submit, read"),
        ({"scope": "x" * 10_000}, "/scope", "must be one of submit, read"),
        ({"only": "micro"}, "/only", "must be router, not 'micro'"),
        ({"name": "x"}, "/name", "must have at least 2 characters"),
        ({"name": "xxxxx"}, "/name", "must have at most 4 characters"),
        ({"name": None}, "/name", "must be a text"),
        ({"stored": "a\x00"}, "/stored", "must not contain the character NUL"),
        ({"amount": "one"}, "/amount", "must have the form ^[0-9]+$"),
        ({"count": 0}, "/count", "must be at least 1, not 0"),
        ({"count": 10}, "/count", "must be at most 9, not 10"),
        ({"count": "many"}, "/count", "must be a whole number"),
        ({"count": 1.5}, "/count", "must be a whole number"),
        ({"share": 0}, "/share", "must be more than 0.0, not 0"),
        ({"share": 1}, "/share", "must be less than 1.0, not 1"),
        ({"share": "half"}, "/share", "must be a number"),
        ({"tags": []}, "/tags", "must have at least 1 item"),
        ({"tags": ["a", "b", "c"]}, "/tags", "must have at most 2 items"),
        ({"tags": "a"}, "/tags", "must be a list"),
        ({"options": []}, "/options", "must be an object"),
        ({"on": "perhaps"}, "/on", "must be true or false"),
        ({"at": "soon"}, "/at", "must be a time such as 2026-03-01T12:00:00Z"),
        ({"scpoe": "read"}, "/scpoe", "is not a known field"),
    ],
)
def test_a_field_that_is_wrong_is_told_in_our_words(
    body: dict[str, Any], path: str, message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_model(Body, body)
    (problem,) = refused.value.problems
    assert (problem.path, problem.message) == (path, message)


def test_an_id_that_is_none_is_told_with_an_example() -> None:
    with pytest.raises(InvalidInput, match="must be an id such as 0"):
        read_model(Body, {"id": "seven"})
