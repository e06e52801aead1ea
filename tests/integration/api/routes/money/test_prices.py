"""The operator's own prices over REST."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.api.served import Api

SMALL = {"input_usd_per_mtok": "0.10", "output_usd_per_mtok": "0.40"}


def at(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


def test_a_price_is_kept_to_the_last_digit_and_listed(api: Api) -> None:
    made = api.post("/v1/prices", json={"model": "openai:small", "price": SMALL, "note": "ours"})
    assert made.status_code == 201, made.text
    prices = api.get("/v1/prices").json()
    (row,) = prices["data"]
    assert row == made.json()
    assert (row["model"], row["service_tier"], row["note"]) == ("openai:small", "", "ours")
    assert row["price"] == SMALL
    assert not row["in_force"]  # it holds ten seconds later: by then every process knows it
    assert prices["list"]["source"] == "genai-prices"


def test_a_price_names_its_long_prompts(api: Api) -> None:
    price = {
        **SMALL,
        "long_context": [
            {"above_input_tokens": 1_000, **SMALL},
            {"above_input_tokens": 9_000, **SMALL},
        ],
    }
    made = api.post("/v1/prices", json={"model": "openai:small", "price": price}).json()
    steps = [step["above_input_tokens"] for step in made["price"]["long_context"]]
    assert steps == [9_000, 1_000]


def test_only_one_of_a_models_prices_begins_at_a_moment(api: Api) -> None:
    body = {"model": "openai:small", "price": SMALL, "since": at(1)}
    assert api.post("/v1/prices", json=body).status_code == 201
    again = api.post("/v1/prices", json=body)
    assert again.status_code == 409
    other = {**body, "service_tier": "flex"}
    assert api.post("/v1/prices", json=other).status_code == 201


def test_a_price_cannot_begin_in_the_past(api: Api) -> None:
    answer = api.post("/v1/prices", json={"model": "openai:small", "price": SMALL, "since": at(-1)})
    assert answer.status_code == 409
    assert "do not change" in answer.json()["detail"]


def test_a_price_is_withdrawn_by_null(api: Api) -> None:
    made = api.post("/v1/prices", json={"model": "openai:small", "price": None})
    assert made.status_code == 201
    assert made.json()["price"] is None


def test_a_server_of_ones_own_is_priced_by_its_hour_and_its_throughput(api: Api) -> None:
    price = {"usd_per_hour": "3.60", "tokens_per_s": 500}
    made = api.post("/v1/prices", json={"model": "local:small", "price": price}).json()
    assert made["price"]["input_usd_per_mtok"] == "2.000000"
    assert made["price"]["output_usd_per_mtok"] == "2.000000"
    assert made["note"] == "3.60 USD an hour at 500.0 tokens/s"


def test_without_a_throughput_a_call_costs_its_time(api: Api) -> None:
    made = api.post("/v1/prices", json={"model": "local:small", "price": {"usd_per_hour": 2}})
    assert made.json()["price"]["usd_per_hour"] == "2"


def test_a_throughput_that_was_never_seen_is_not_made_up(api: Api) -> None:
    price = {"usd_per_hour": 2, "measured_hours": 24}
    answer = api.post("/v1/prices", json={"model": "local:small", "price": price})
    assert answer.status_code == 409
    assert "too little to measure" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"model": "gpt-5", "price": SMALL}, "/model"),
        ({"model": "nobody:gpt-5", "price": SMALL}, "/model"),
        ({"model": "openai:small"}, "/price"),
        ({"model": "openai:small", "price": SMALL, "service_tier": "a b"}, "/service_tier"),
        ({"model": "openai:small", "price": SMALL, "since": 17}, "/since"),
        ({"model": "openai:small", "price": SMALL, "colour": "red"}, "/colour"),
    ],
)
def test_what_does_not_fit_is_named(api: Api, body: dict[str, object], place: str) -> None:
    answer = api.post("/v1/prices", json=body)
    assert answer.status_code == 422
    assert [one["path"] for one in answer.json()["errors"]] == [place]


@pytest.mark.parametrize("amount", [-1, "NaN", "Infinity", "many", 1e9])
def test_a_rate_is_usd_that_can_be(api: Api, amount: object) -> None:
    price = {**SMALL, "input_usd_per_mtok": amount}
    answer = api.post("/v1/prices", json={"model": "openai:small", "price": price})
    assert answer.status_code == 422


def test_a_throughput_that_makes_no_sensible_price_is_refused(api: Api) -> None:
    price = {"usd_per_hour": "51206.02", "tokens_per_s": 1e-300}
    response = api.post("/v1/prices", json={"model": "openai:large", "price": price})
    assert response.status_code == 422
    assert response.json()["errors"][0]["path"] == "/price/tokens_per_s"
