"""What a call costs while the operator sets prices: the price in force when it was made."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.support.fake_servers.model_server import Reply
from tests.support.scenes.bench import Bench
from tierline.base.ids import new_id
from tierline.pricing import Price
from tierline.services.money.prices import BOOK
from tierline.storage.money.prices import own_prices, throughput

RIGHT = '{"amount": 12.5}'
OURS = Price(Decimal(2), Decimal(3), Decimal("0.5"))


def insert(bench: Bench, price: Price, ago_s: float, terms: str = "") -> None:
    """A price as it stands once its moment has come: `set_price` takes none that is past."""
    from psycopg.types.json import Jsonb

    with bench.pool.connection() as connection:
        connection.execute(
            "INSERT INTO prices (model, terms, since, price) VALUES ('openai:small', %s, %s, %s)",
            (terms, datetime.now(UTC) - timedelta(seconds=ago_s), Jsonb(price.to_dict())),
        )


@pytest.fixture(autouse=True)
def no_prices(bench: Bench) -> Iterator[None]:
    BOOK.forget()
    yield
    with bench.pool.connection() as connection:
        connection.execute("TRUNCATE prices")
    BOOK.forget()


def cost(bench: Bench, reply: Reply) -> Decimal | None:
    bench.server.answer = lambda _: reply
    version, _ = bench.apply()
    job = bench.submit(version)
    bench.run(job)
    ((_, _, found),) = bench.calls(job)
    assert found is None or isinstance(found, Decimal)
    return found


def test_a_call_costs_the_operators_price_of_its_moment(bench: Bench) -> None:
    insert(bench, Price(Decimal(9), Decimal(9)), ago_s=7200)
    insert(bench, OURS, ago_s=3600)
    insert(bench, Price(Decimal(8), Decimal(8)), ago_s=-3600)
    assert cost(bench, Reply(text=RIGHT)) == Decimal("0.00023")  # 100 in at 2, 10 out at 3


def test_what_a_call_has_cost_stays_when_the_price_changes(bench: Bench) -> None:
    insert(bench, OURS, ago_s=3600)
    before = cost(bench, Reply(text=RIGHT))
    insert(bench, Price(Decimal(90), Decimal(90)), ago_s=1)
    rows = bench.all("SELECT DISTINCT cost_usd FROM calls WHERE cost_usd = %s", before)
    assert rows == [(before,)]


def test_without_any_price_a_calls_cost_is_unknown(bench: Bench) -> None:
    assert cost(bench, Reply(text=RIGHT)) is None


def test_a_stored_price_is_read_as_it_was_set(bench: Bench) -> None:
    insert(bench, OURS, ago_s=10, terms="flex")
    with bench.pool.connection() as connection:
        ((since, price),) = own_prices(connection)["openai:small", "flex"]
    assert price == OURS
    assert since.tzinfo is not None


def test_a_servers_throughput_is_its_tokens_over_the_time_that_any_call_ran(bench: Bench) -> None:
    now = datetime.now(UTC)
    with bench.pool.connection() as connection:
        for number, (begin_s, end_s) in enumerate([(60, 40), (50, 30), (20, 10)], 1):
            connection.execute(
                "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model, booked_at,"
                " settled_at, input_tokens, output_tokens)"
                " VALUES (%s, 1, %s, %s, 'answer', 'openai:busy', %s, %s, 90, 10)",
                (
                    new_id(),
                    number,
                    bench.account,
                    now - timedelta(seconds=begin_s),
                    now - timedelta(seconds=end_s),
                ),
            )
        tokens, busy_s = throughput(connection, "openai:busy", 1)
    assert tokens == 300
    assert busy_s == pytest.approx(40)


FLEX = "    service_tier: flex"


def cost_at_flex(bench: Bench) -> Decimal | None:
    """Of a whole call that asks for flex; the server does not tell which tier it was served by."""
    bench.server.answer = lambda _: Reply(text=RIGHT)
    version, _ = bench.apply(slm=FLEX)
    job = bench.submit(version)
    bench.run(job)
    assert bench.server.calls[-1].body["service_tier"] == "flex"
    ((_, _, found),) = bench.calls(job)
    assert found is None or isinstance(found, Decimal)
    return found


def test_a_call_at_flex_costs_the_rate_of_flex(bench: Bench) -> None:
    insert(bench, OURS, ago_s=3600)
    insert(bench, Price(Decimal(1), Decimal("1.5")), ago_s=3600, terms="flex")
    assert cost_at_flex(bench) == Decimal("0.000115")  # 100 in at 1, 10 out at 1.5


def test_a_call_at_flex_without_a_rate_of_its_own_is_unpriced(bench: Bench) -> None:
    insert(bench, OURS, ago_s=3600)
    assert cost_at_flex(bench) is None
