"""Whether a provider's key is set is asked of the workers."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.scenes.bench import Bench
from tierline import providers
from tierline.base.settings import settings
from tierline.services.features.provider_keys import read_keys
from tierline.services.jobs.running.beats import Beat
from tierline.storage.features import provider_keys


@pytest.fixture(autouse=True)
def without_key(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process has no key of Anthropic's, and no worker has published anything."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    settings.cache_clear()
    providers.close()
    bench.all("DELETE FROM provider_keys RETURNING worker")
    yield
    bench.all("DELETE FROM provider_keys RETURNING worker")
    settings.cache_clear()
    providers.close()


def missing(bench: Bench) -> str | None:
    with bench.pool.connection() as connection:
        return read_keys(connection).missing("anthropic")


def publish(bench: Bench, *names: str, for_s: float = 60.0) -> None:
    with bench.pool.connection() as connection:
        provider_keys.publish(connection, uuid4(), names, for_s)


def test_without_workers_it_is_what_this_process_lacks(bench: Bench) -> None:
    assert missing(bench) == "ANTHROPIC_API_KEY is not set"


def test_a_key_that_every_worker_has_is_not_missing(bench: Bench) -> None:
    publish(bench, "anthropic", "openai")
    publish(bench, "anthropic")
    assert missing(bench) is None


def test_a_key_that_one_of_two_workers_lacks_is_told(bench: Bench) -> None:
    publish(bench, "anthropic")
    publish(bench, "openai")
    assert missing(bench) == "ANTHROPIC_API_KEY is not set, in 1 of 2 workers"


def test_what_a_worker_published_expires_and_is_removed_by_another(bench: Bench) -> None:
    publish(bench, "anthropic", for_s=-1.0)
    assert missing(bench) == "ANTHROPIC_API_KEY is not set"
    publish(bench, "openai")
    assert bench.one("SELECT count(*) FROM provider_keys") == 1


@pytest.mark.parametrize(("queues", "rows"), [(["slm"], 1), (["webhooks"], 0)])
def test_a_worker_that_answers_jobs_publishes_names_until_it_ends(
    bench: Bench, database_url: str, monkeypatch: pytest.MonkeyPatch, queues: list[str], rows: int
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-hunter2")
    settings.cache_clear()
    providers.close()
    beat = Beat(database_url, uuid4(), "w", queues, 1)
    beat.write(1, [])
    found = bench.all("SELECT providers FROM provider_keys")
    assert len(found) == rows
    assert all("anthropic" in names for (names,) in found)
    assert "hunter2" not in str(found)
    beat.remove()
    assert bench.all("SELECT providers FROM provider_keys") == []
