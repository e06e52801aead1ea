"""The operator's own prices: one row per change, valid from a time on. Rows are only added."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from tierline.pricing import OwnPrices, Price

COLUMNS = "id, model, terms, since, price, note, created_at"


def own_prices(connection: Connection[Any]) -> OwnPrices:
    """All of them, by model and terms, newest first."""
    prices: dict[tuple[str, str], list[tuple[datetime, Price | None]]] = {}
    rows = connection.execute(
        "SELECT model, terms, since, price FROM prices ORDER BY since DESC"
    ).fetchall()
    for model, terms, since, price in rows:
        dated = prices.setdefault((model, terms), [])
        dated.append((since, None if price is None else Price.from_dict(price)))
    return prices


def list_prices(connection: Connection[Any], model: str | None = None) -> list[dict[str, Any]]:
    """The rows, by model and terms, the newest first; optionally of one model.

    `in_force` is true for the row that applies now.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"""
            SELECT {COLUMNS}, id = first_value(id) OVER (
                PARTITION BY model, terms, since <= now ORDER BY since DESC
            ) AND since <= now AS in_force
            FROM prices, (SELECT clock_timestamp() AS now) AS clock
            WHERE %(model)s::text IS NULL OR model = %(model)s
            ORDER BY model, terms, since DESC
            """,
            {"model": model},
        ).fetchall()


def add_price(
    connection: Connection[Any],
    model: str,
    terms: str,
    since: datetime | float,
    price: Price | None,
    note: str,
) -> Mapping[str, Any] | None:
    """Add a row; None if its time is past, or taken by another row of its model and terms.

    `since` is a time, or a number of seconds from now on the database's clock.
    """
    soon = isinstance(since, int | float)
    moment = "clock_timestamp() + make_interval(secs => %(since)s)" if soon else "%(since)s"
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            f"""
            INSERT INTO prices (model, terms, since, price, note)
            SELECT %(model)s, %(terms)s, since, %(price)s::jsonb, %(note)s
            FROM (SELECT ({moment})::timestamptz AS since) AS wanted
            WHERE since >= clock_timestamp()
            ON CONFLICT (model, terms, since) DO NOTHING
            RETURNING {COLUMNS}, false AS in_force
            """,
            {
                "model": model,
                "terms": terms,
                "since": since,
                "price": None if price is None else json.dumps(price.to_dict()),
                "note": note,
            },
        ).fetchone()


def throughput(connection: Connection[Any], model: str, hours: float) -> tuple[int, float]:
    """(tokens, seconds): the tokens of calls to the model in the last hours, and for how long at
    least one of them ran. Calls that overlap share the time, because they share the server.
    """
    row = connection.execute(
        """
        WITH ran AS (
            SELECT booked_at, settled_at,
                coalesce(input_tokens, 0) + coalesce(cached_input_tokens, 0)
                    + coalesce(cache_write_5m_tokens, 0) + coalesce(cache_write_1h_tokens, 0)
                    + coalesce(output_tokens, 0) + coalesce(reasoning_tokens, 0) AS tokens
            FROM accounts
            CROSS JOIN LATERAL (
                SELECT * FROM calls WHERE account_id = accounts.id
                    AND booked_at >= statement_timestamp() - make_interval(secs => %(s)s)
            ) AS c
            WHERE model = %(model)s AND output_tokens IS NOT NULL AND settled_at > booked_at
        ), busy AS (
            SELECT unnest(range_agg(tstzrange(booked_at, settled_at))) AS span FROM ran
        )
        SELECT (SELECT coalesce(sum(tokens), 0) FROM ran)::bigint,
            (SELECT coalesce(extract(epoch FROM sum(upper(span) - lower(span))), 0)::float8
             FROM busy)
        """,
        {"model": model, "s": hours * 3600},
    ).fetchone()
    assert row is not None, "a SELECT of two expressions gives one row"
    tokens, seconds = row
    return tokens, seconds
