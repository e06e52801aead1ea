"""What every response model does, and what the OpenAPI document says of it."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import Field, ValidationError

from tierline.views.view import AnyJson, Page, TextId, Time, Usd, View, with_optional

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


class Thing(View):
    """A thing."""

    id: TextId
    name: str | None = Field(validation_alias="thing_name", description="its name")
    since: Time = Field(alias="from")
    ended_at: Time | None
    cost_usd: Usd
    content: AnyJson
    counted: int = 0


class ThingPage(Page[Thing]):
    """Things."""


SecretThing = with_optional(Thing, "SecretThing", "A thing without its name.", ("name",))
ROW = {
    "id": 2**60,
    "thing_name": "a",
    "from": NOW,
    "ended_at": None,
    "cost_usd": Decimal("1.50"),
    "content": {"text": "é", "list": [1, 1.5, None]},
    "seq": 7,
}


def test_a_row_becomes_what_callers_read_and_its_other_columns_do_not() -> None:
    assert json.loads(Thing.model_validate(ROW).to_json()) == {
        "id": str(2**60),
        "name": "a",
        "from": "2026-11-30T12:00:00.000000Z",
        "ended_at": None,
        "cost_usd": "1.5",
        "content": {"text": "é", "list": [1, 1.5, None]},
    }


def test_a_field_with_a_default_is_there_only_when_it_was_set() -> None:
    assert b"counted" not in Thing.model_validate(ROW).to_json()
    assert b'"counted":0' in Thing.model_validate({**ROW, "counted": 0}).to_json()


def test_fields_made_optional_keep_their_column_and_their_words() -> None:
    without = {name: value for name, value in ROW.items() if name != "thing_name"}
    assert b'"name"' not in SecretThing.model_validate(without).to_json()
    assert b'"name":"a"' in SecretThing.model_validate(ROW).to_json()
    assert SecretThing.model_fields["name"].description == "its name"
    with pytest.raises(ValidationError):
        Thing.model_validate(without)


def test_what_a_service_says_and_the_model_lacks_is_refused() -> None:
    with pytest.raises(ValidationError, match="seq"):
        Thing.exactly(ROW)


def test_half_of_a_character_in_an_old_row_is_no_reason_to_fail() -> None:
    made = Thing.model_validate({**ROW, "content": {"text": "\ud800"}})
    document = json.loads(made.to_json())
    assert document["content"] == {"text": "?"}
    assert document["cost_usd"] == "1.5"
    assert "counted" not in document


def test_a_page_without_a_cursor_is_the_last_one() -> None:
    assert json.loads(ThingPage.of([ROW, ROW]).to_json())["next_cursor"] is None
    assert json.loads(ThingPage.of([], "next").to_json()) == {"data": [], "next_cursor": "next"}
