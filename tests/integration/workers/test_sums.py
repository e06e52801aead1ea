"""The process of `maintenance` rolls up what has ended, without the sweep and without a broker."""

from tests.support.database.rows import add_account, add_feature, add_job, end_job, two_tiers
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.storage.db.engine import create_pool
from workers.rounds import roll_up


def test_what_has_ended_is_soon_in_the_sums(fresh_database_url: str) -> None:
    with create_pool(fresh_database_url, "test", 2) as pool:

        def counted() -> int:
            with pool.connection() as connection:
                row = connection.execute("SELECT count(*) FROM usage_sums WHERE daily").fetchone()
            assert row is not None
            return int(row[0])

        with pool.connection() as connection:
            account = add_account(connection, "acme")
            version = add_feature(connection, two_tiers())
            end_job(connection, str(add_job(connection, account, version)))
        sums = roll_up(pool, every_s=0.05)
        sums.start()
        wait_until(lambda: counted() == 1, DEADLINE_S, "the job to be rolled up")
        with pool.connection() as connection:
            end_job(connection, str(add_job(connection, account, version)))
            expected = "SELECT sum(calls) FROM usage_sums WHERE daily"
            wait_until(
                lambda: connection.execute(expected).fetchone() == (2,),
                DEADLINE_S,
                "the second job",
            )
        sums.stop()  # waits for the round that runs
