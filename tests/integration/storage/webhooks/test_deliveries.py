"""Choosing and claiming deliveries on a real Postgres, under real contention."""

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from psycopg import Connection

from tests.support.database.rows import add_account
from tests.support.scenes.webhooks import Scene
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.ids import new_id
from tierline.services.webhooks.dispatch import choose_due
from tierline.storage.db.engine import PLANNED_ONCE, create_pool
from tierline.storage.webhooks import deliveries
from tierline.storage.webhooks.deliveries import Delivery
from tierline.webhooks.schedule import MOST_TRIES, Met, after_try
from tierline.webhooks.shares import MOST_IN_FLIGHT

ONE = "https://one.example.com/"
TWO = "https://two.example.com/"


def claim(scene: Scene, delivery_id: UUID, token: UUID | None = None) -> Delivery | None:
    return deliveries.claim(scene.db, delivery_id, token or uuid4())


def target_of(scene: Scene, delivery_id: UUID) -> str:
    return str(scene.row(delivery_id)["url"])


def test_of_eight_claims_at_once_one_gets_the_delivery(scene: Scene) -> None:
    scene.end_job(url=ONE)
    (delivery_id,) = scene.choose()
    together = threading.Barrier(8)

    def take(_: int) -> Delivery | None:
        with scene.pool.connection() as connection:
            together.wait(timeout=DEADLINE_S)
            return deliveries.claim(connection, delivery_id, uuid4())

    with ThreadPoolExecutor(8) as threads:
        taken = [one for one in threads.map(take, range(8)) if one is not None]

    assert len(taken) == 1
    assert scene.row(delivery_id)["claim_token"] == taken[0].token
    assert scene.row(delivery_id)["tries"] == 1


def test_a_repeated_claim_returns_what_the_first_took_and_counts_once(scene: Scene) -> None:
    scene.end_job(url=ONE)
    (delivery_id,) = scene.choose()
    token = uuid4()

    first = claim(scene, delivery_id, token)

    assert first is not None
    again = claim(scene, delivery_id, token)
    assert again is not None
    assert replace(again, at=first.at) == first
    assert first.tries == 1
    assert claim(scene, delivery_id) is None


def test_a_hint_that_was_given_up_claims_nothing(scene: Scene) -> None:
    scene.end_job(url=ONE)
    (delivery_id,) = scene.choose()
    deliveries.unhint(scene.db, [delivery_id])

    assert claim(scene, delivery_id) is None
    assert scene.choose() == [delivery_id]


def test_at_most_two_for_one_target_are_out_oldest_first(scene: Scene) -> None:
    for _ in range(5):
        scene.end_job(url=ONE)
    ids = [one for (one,) in scene.db.execute("SELECT id FROM deliveries ORDER BY seq")]

    chosen = scene.choose()
    assert sorted(chosen) == ids[:2]
    assert scene.choose() == []

    taken = claim(scene, ids[0])
    assert scene.choose() == []

    assert taken is not None
    assert deliveries.finish(scene.db, taken, Met(200), after_try(1, Met(200)))
    assert scene.choose() == [ids[2]]


def test_a_target_with_a_long_backlog_holds_up_no_other(scene: Scene) -> None:
    for _ in range(30):
        scene.end_job(url=ONE)
    scene.end_job(url=TWO)

    chosen = scene.choose(room=4)

    assert sorted(target_of(scene, one) for one in chosen) == [ONE, TWO]


def test_an_account_with_many_hanging_targets_leaves_room_for_another(scene: Scene) -> None:
    other = add_account(scene.db, "other")
    for number in range(20):
        scene.end_job(url=f"https://hanging-{number}.example.com/")
        scene.end_job(url=f"https://hanging-{number}.example.com/")
    first = scene.choose(room=8)

    scene.end_job(url=ONE, account=other)
    second = scene.choose(room=8)

    assert len(first) == 4
    assert [target_of(scene, one) for one in second] == [ONE]


def test_accounts_take_turns_when_there_is_little_room(scene: Scene) -> None:
    other = add_account(scene.db, "other")
    for number in range(6):
        scene.end_job(url=f"https://a-{number}.example.com/")
    for number in range(6):
        scene.end_job(url=f"https://b-{number}.example.com/", account=other)

    chosen = scene.choose(room=4)

    accounts = sorted(scene.row(one)["account_id"] for one in chosen)
    assert accounts == sorted([scene.account, scene.account, other, other])


def test_no_more_than_the_room_is_out(scene: Scene) -> None:
    for number in range(10):
        scene.end_job(url=f"https://host-{number}.example.com/")

    assert len(scene.choose(room=6)) == 3
    assert scene.choose(room=6) == []
    assert scene.choose(room=0) == []


def test_what_is_not_due_is_not_chosen(scene: Scene) -> None:
    scene.end_job(url=ONE)
    scene.forward(-60)

    assert scene.choose() == []
    scene.forward(61)
    assert len(scene.choose()) == 1


def test_two_dispatchers_never_choose_the_same(scene: Scene) -> None:
    for number in range(40):
        scene.end_job(url=f"https://host-{number}.example.com/")
    together = threading.Barrier(4)

    def choose(_: int) -> list[UUID]:
        with scene.pool.connection() as connection:
            together.wait(timeout=DEADLINE_S)
            return [
                one for _ in range(10) for one in choose_due(connection, 200, 0, MOST_IN_FLIGHT)
            ]

    with ThreadPoolExecutor(4) as threads:
        chosen = [one for some in threads.map(choose, range(4)) for one in some]

    assert len(chosen) == len(set(chosen)) == 40


def test_hints_out_are_listed_with_their_numbers(scene: Scene) -> None:
    scene.end_job(url=ONE)
    (delivery_id,) = scene.choose()

    assert deliveries.hinted(scene.db) == [(delivery_id, scene.row(delivery_id)["hint_no"])]
    claim(scene, delivery_id)
    assert deliveries.hinted(scene.db) == []


def test_a_lost_try_is_due_again_at_once_and_stays_counted(scene: Scene) -> None:
    scene.end_job(url=ONE)
    (delivery_id,) = scene.choose()
    taken = claim(scene, delivery_id)
    assert taken is not None
    assert deliveries.in_flight_tokens(scene.db) == [taken.token]

    deliveries.lost(scene.db, taken.token)

    assert deliveries.in_flight_tokens(scene.db) == []
    assert scene.choose() == [delivery_id]
    again = claim(scene, delivery_id)
    assert again is not None
    assert again.tries == 2


def test_the_end_of_a_try_whose_lease_was_lost_changes_nothing(scene: Scene) -> None:
    scene.end_job(url=ONE)
    (delivery_id,) = scene.choose()
    late = claim(scene, delivery_id)
    assert late is not None
    deliveries.lost(scene.db, late.token)
    scene.choose()
    held = claim(scene, delivery_id)
    assert held is not None

    assert not deliveries.finish(scene.db, late, Met(410), after_try(1, Met(410)))

    assert scene.row(delivery_id)["status"] == "pending"
    assert scene.row(delivery_id)["claim_token"] == held.token


def test_a_delivery_that_loses_its_worker_every_time_comes_to_an_end(scene: Scene) -> None:
    scene.end_job(url=ONE)
    for _ in range(MOST_TRIES):
        (delivery_id,) = scene.choose()
        taken = claim(scene, delivery_id)
        assert taken is not None
        deliveries.lost(scene.db, taken.token)

    assert scene.choose() == []
    row = scene.row(delivery_id)
    assert (row["status"], row["tries"]) == ("failed", MOST_TRIES)
    assert "worker was lost" in row["last_error"]


def test_a_repeated_end_is_written_once(scene: Scene) -> None:
    scene.end_job(url=ONE)
    (delivery_id,) = scene.choose()
    taken = claim(scene, delivery_id)
    assert taken is not None
    met = Met(500, "the receiver answered 500")

    assert deliveries.finish(scene.db, taken, met, after_try(1, met))
    assert not deliveries.finish(scene.db, taken, met, after_try(1, met))

    assert scene.row(delivery_id)["last_status"] == 500


def test_dispatchers_and_workers_at_once_never_pass_what_an_endpoint_takes(scene: Scene) -> None:
    scene.add_endpoint("https://many.example.com/", max_in_flight=5)
    for _ in range(60):
        scene.end_job()
    todo: queue.SimpleQueue[UUID] = queue.SimpleQueue()
    ended, seen = threading.Event(), []
    most = scene.config.webhook_max_in_flight

    def dispatch(_: int) -> None:
        with scene.pool.connection() as connection:
            while not ended.is_set():
                for one in choose_due(connection, 32, 8, most):
                    todo.put(one)
                    todo.put(one)  # the broker may repeat a hint

    def work(_: int) -> None:
        with scene.pool.connection() as connection:
            while not ended.is_set():
                try:
                    taken = deliveries.claim(connection, todo.get(timeout=0.05), uuid4())
                except queue.Empty:
                    continue
                if taken is not None:
                    assert deliveries.finish(connection, taken, Met(200), after_try(1, Met(200)))

    def look() -> bool:
        row = scene.db.execute(
            "SELECT count(*) FILTER (WHERE hint_no IS NOT NULL OR claim_token IS NOT NULL),"
            " count(*) FROM deliveries WHERE status = 'pending'"
        ).fetchone()
        assert row is not None
        seen.append(row[0])
        return bool(row[1] == 0)

    with ThreadPoolExecutor(9) as threads:
        running = [threads.submit(dispatch, number) for number in range(3)]
        running += [threads.submit(work, number) for number in range(6)]
        try:
            wait_until(look, DEADLINE_S, "all to be delivered", 0.0)
        finally:
            ended.set()
        for one in running:
            one.result(timeout=DEADLINE_S)

    assert 2 < max(seen) <= 5
    tries = scene.db.execute("SELECT DISTINCT tries FROM deliveries").fetchall()
    assert tries == [(1,)]


def test_an_endpoint_has_no_more_out_than_the_installation_lets(scene: Scene) -> None:
    scene.add_endpoint("https://many.example.com/", max_in_flight=50)
    for _ in range(20):
        scene.end_job()

    assert len(choose_due(scene.db, 100, 8, 7)) == 7


def test_a_retry_stands_aside_until_its_time(scene: Scene) -> None:
    scene.end_job(url=ONE)
    (delivery_id,) = scene.choose()
    taken = claim(scene, delivery_id)
    assert taken is not None
    met = Met(500, "the receiver answered 500")

    deliveries.finish(scene.db, taken, met, after_try(1, met))

    assert scene.row(delivery_id)["delayed"] is True
    assert scene.choose() == []
    scene.forward(6)
    assert scene.choose() == [delivery_id]
    assert scene.row(delivery_id)["delayed"] is False


def test_what_the_release_before_wrote_is_chosen_by_its_time_alone(scene: Scene) -> None:
    """Its processes know nothing of `delayed`: they neither set it nor take it away."""
    scene.end_job(url=ONE)
    scene.end_job(url=TWO)
    put_off, made_due = [one for (one,) in scene.db.execute("SELECT id FROM deliveries")]
    scene.db.execute(
        "UPDATE deliveries SET next_try_at = clock_timestamp() + interval '1 h' WHERE id = %s",
        (put_off,),
    )
    scene.db.execute("UPDATE deliveries SET delayed = true WHERE id = %s", (made_due,))

    assert scene.choose() == [made_due]


def test_a_retry_that_somebody_has_locked_holds_up_no_choice(scene: Scene) -> None:
    scene.end_job(url=ONE)
    scene.end_job(url=TWO)
    scene.db.execute("UPDATE deliveries SET delayed = true")
    locked, free = [one for (one,) in scene.db.execute("SELECT id FROM deliveries ORDER BY seq")]
    with scene.pool.connection() as stranger, stranger.transaction():
        stranger.execute("SELECT FROM deliveries WHERE id = %s FOR UPDATE", (locked,))
        assert scene.choose() == [free]

    assert scene.choose() == [locked]


READ = """
SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname LIKE 'deliveries%')
    + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname LIKE 'deliveries%')
"""


def read(connection: Connection[Any]) -> int:
    """How many rows and entries of indexes the server has read of deliveries so far."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    row = connection.execute(READ).fetchone()
    assert row is not None
    return int(row[0])


def test_targets_that_wait_for_a_retry_are_not_read_to_choose_those_that_are_due(
    scene: Scene, fresh_database_url: str
) -> None:
    scene.end_job(url=ONE)
    scene.db.execute(
        "INSERT INTO deliveries (id, account_id, url, target, event, body, status, next_try_at,"
        " delayed) SELECT made.id, account_id, url, 'url:' || n, event, body, 'pending',"
        " clock_timestamp() + interval '1 h', true"
        " FROM deliveries, unnest(%s::uuid[]) WITH ORDINALITY made (id, n)",
        ([new_id() for _ in range(5000)],),
    )
    scene.db.execute("ANALYZE deliveries")
    with (
        create_pool(fresh_database_url, "plan", 1, PLANNED_ONCE) as pool,
        pool.connection() as connection,
    ):
        before = read(connection)
        chosen = [choose_due(connection, 16, 0, MOST_IN_FLIGHT) for _ in range(10)]
        assert len(chosen[0]) == 1
        assert read(connection) - before < 100


def test_thousands_that_wait_for_one_target_are_not_read_to_choose_the_next(
    scene: Scene, fresh_database_url: str
) -> None:
    scene.end_job(url=ONE)
    scene.db.execute(
        "INSERT INTO deliveries (id, account_id, url, target, event, body, status)"
        " SELECT made.id, account_id, url, target, event, body, 'pending'"
        " FROM deliveries, unnest(%s::uuid[]) made (id)",
        ([new_id() for _ in range(20_000)],),
    )
    scene.end_job(url=TWO)
    scene.db.execute("ANALYZE deliveries")
    with (
        create_pool(fresh_database_url, "plan", 1, PLANNED_ONCE) as pool,
        pool.connection() as connection,
    ):
        before = read(connection)
        chosen = [choose_due(connection, 16, 0, MOST_IN_FLIGHT) for _ in range(10)]
        assert len(chosen[0]) == 3
        assert read(connection) - before < 2_000
