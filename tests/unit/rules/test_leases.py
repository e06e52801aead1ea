"""What an onlooker concludes about leases, workers and hints."""

from uuid import UUID, uuid4

from tierline.rules.leases import AliveWatch, HintWatch, LeaseWatch

WORKER = uuid4()
TOKEN = uuid4()


def beat(number: int) -> dict[UUID, tuple[UUID, int]]:
    return {TOKEN: (WORKER, number)}


def test_a_lease_is_lost_when_its_beat_stands_still_for_its_time() -> None:
    watch = LeaseWatch(lease_s=10, blind_s=5)
    seen = [watch.look(now, [TOKEN], beat(1)) for now in range(12)]
    assert seen[9] == []
    assert seen[10] == [TOKEN]


def test_a_beat_that_moves_keeps_its_lease() -> None:
    watch = LeaseWatch(lease_s=3, blind_s=5)
    assert all(watch.look(now, [TOKEN], beat(now)) == [] for now in range(20))


def test_a_claim_that_no_worker_beats_for_is_lost_too() -> None:
    watch = LeaseWatch(lease_s=3, blind_s=5)
    assert [watch.look(now, [TOKEN], {}) for now in range(4)][-1] == [TOKEN]


def test_an_outage_costs_nobody_a_lease() -> None:
    watch = LeaseWatch(lease_s=3, blind_s=5)
    for now in range(3):
        watch.look(now, [TOKEN], beat(1))
    watch.interrupted()
    assert watch.look(4, [TOKEN], beat(1)) == []
    assert watch.look(6, [TOKEN], beat(1)) == []
    assert watch.look(7, [TOKEN], beat(1)) == [TOKEN]


def test_a_dispatcher_that_was_frozen_starts_to_watch_anew() -> None:
    watch = LeaseWatch(lease_s=3, blind_s=5)
    watch.look(0, [TOKEN], beat(1))
    assert watch.look(100, [TOKEN], beat(1)) == []


def test_an_ended_claim_is_forgotten() -> None:
    watch = LeaseWatch(lease_s=3, blind_s=5)
    for now in range(3):
        watch.look(now, [TOKEN], beat(1))
    assert watch.look(3, [], {}) == []
    assert watch.look(4, [TOKEN], beat(1)) == []


def test_a_worker_counts_as_alive_until_its_beat_stands_still() -> None:
    watch = AliveWatch(lease_s=3)
    assert watch.look(0, {WORKER: 7}) == {WORKER}
    assert watch.look(2, {WORKER: 7}) == {WORKER}
    assert watch.look(3, {WORKER: 7}) == frozenset()
    assert watch.look(4, {WORKER: 8}) == {WORKER}


def test_a_hint_in_a_queue_that_does_not_move_is_only_waiting() -> None:
    watch = HintWatch(lost_s=5)
    assert all(watch.look(now, {1: "slm", 2: "slm"}, ()) == [] for now in range(60))


def test_a_hint_is_lost_when_the_list_stays_empty() -> None:
    watch = HintWatch(lost_s=5)
    assert watch.look(0, {1: "slm"}, {"slm"}) == []
    assert watch.look(4, {1: "slm"}, {"slm"}) == []
    assert watch.look(5, {1: "slm"}, {"slm"}) == [1]


def test_a_list_that_fills_again_takes_the_doubt_away() -> None:
    watch = HintWatch(lost_s=5)
    watch.look(0, {1: "slm"}, {"slm"})
    watch.look(4, {1: "slm"}, ())
    assert watch.look(6, {1: "slm"}, {"slm"}) == []


def test_a_hint_is_lost_when_a_later_one_of_its_queue_was_taken() -> None:
    watch = HintWatch(lost_s=5)
    watch.look(0, {1: "slm", 2: "slm", 3: "other"}, ())
    watch.look(1, {1: "slm", 3: "other"}, ())
    assert watch.look(5, {1: "slm", 3: "other"}, ()) == []
    assert watch.look(6, {1: "slm", 3: "other"}, ()) == [1]
