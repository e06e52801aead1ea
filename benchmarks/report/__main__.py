"""`python -m benchmarks.report`: a feature's report and economics over a million calls.

The rows are written by Postgres itself: nine jobs in ten with a call on the first tier, one in ten
with another on the last, spread over thirty days. Each question is asked of the API over HTTP, with
nothing cached but what Postgres keeps in memory. The yardstick is a sum of the cost of the same
calls, and nothing else.
"""

import argparse
import sys
import time
from collections.abc import Callable
from statistics import median

import httpx
import psycopg

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from benchmarks.stage import api, stage
from tierline.services.accounts.accounts import ensure_first_admin
from tierline.services.features.apply_feature import apply_feature

FEATURE = """feature: kinds
instructions: Name the kind.
input: {type: object}
output: {type: string, enum: [a, b]}
tiers:
  - {name: slm, models: [openai:small]}
  - {name: frontier, models: [openai:large]}
"""
WANTED_S = 2.0
ROUNDS = 5

# Ids grow with time, as the product's do: the first 48 bits are milliseconds.
JOBS = """
INSERT INTO jobs (id, account_id, feature_version_id, status, tier, tier_index, queue, attempts,
    answer_attempt, created_at, completed_at, escalation_reason)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
        || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid,
    a.id, f.version_id, 'completed', CASE WHEN n %% 10 = 0 THEN 'frontier' ELSE 'slm' END,
    (n %% 10 = 0)::int, 'slm', 1 + (n %% 10 = 0)::int, 1 + (n %% 10 = 0)::int, at, at,
    CASE WHEN n %% 10 = 0 THEN 'schema: x' END
FROM generate_series(1, %(jobs)s) n, accounts a, features f,
    LATERAL (SELECT clock_timestamp() - interval '29 days' * (n::float8 / %(jobs)s) AS at) t
"""
ATTEMPTS = """
INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, ended_at, latency_s,
    verdict, model)
SELECT j.id, k, gen_random_uuid(), CASE WHEN k = 1 THEN 'slm' ELSE 'frontier' END, 'slm', 'w',
    j.completed_at, 0.2 * k + random() * 0.1,
    CASE WHEN k = j.attempts THEN 'passed' ELSE 'schema' END,
    CASE WHEN k = 1 THEN 'small-1' ELSE 'large-1' END
FROM jobs j, generate_series(1, j.attempts) k
"""
CALLS = """
INSERT INTO calls (job_id, attempt, number, account_id, purpose, model, answered_model, booked_at,
    settled_at, latency_s, input_tokens, output_tokens, cost_usd)
SELECT a.job_id, a.number, 1, j.account_id, 'answer', 'openai:x', a.model, a.ended_at, a.ended_at,
    a.latency_s, 300, 20, CASE WHEN a.number = 1 THEN 0.0001 ELSE 0.01 END * (0.5 + random())
FROM attempts a JOIN jobs j ON j.id = a.job_id
"""


def seconds(ask: Callable[[], object]) -> list[float]:
    """Of each round, but the first, which brings the rows into memory."""
    found = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        ask()
        found.append(time.perf_counter() - began)
    return found[1:]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    arguments = read_arguments(parser, {})
    calls = 50_000 if arguments.short else 1_000_000
    with stage() as servers:
        key = ensure_first_admin(servers.database_url)
        assert key is not None
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            apply_feature(connection, FEATURE)
            progress(f"writing {calls:,} calls")
            connection.execute(JOBS, {"jobs": calls * 10 // 11})
            connection.execute(ATTEMPTS)
            connection.execute(CALLS)
            connection.execute("VACUUM ANALYZE jobs, attempts, calls")
            (count,) = connection.execute("SELECT count(*) FROM calls").fetchone() or (0,)

            def bare() -> None:
                connection.execute("SELECT sum(cost_usd) FROM calls").fetchone()

            yardstick = seconds(bare)
        with (
            api(servers.environment()) as url,
            httpx.Client(
                base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=120
            ) as client,
        ):

            def asking(what: str) -> Callable[[], object]:
                return lambda: client.get(f"/v1/features/kinds/{what}").raise_for_status()

            progress("asking")
            found = {what: seconds(asking(what)) for what in ("report", "economics")}
    figures = []
    for what, took in found.items():
        figures += [
            Figure(
                f"{what} on {count:,} calls",
                *(median(took), "s", WANTED_S),
                at_most=True,
                low=min(took),
                high=max(took),
            ),
            Figure("  / a bare sum of their cost", median(took) / median(yardstick), ""),
        ]
    return hand_over(figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
