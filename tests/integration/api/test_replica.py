"""DATABASE_READ_URL: what may be late is read from a real streaming replica, within a bound."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from tests.support.api.served import Api, serving
from tests.support.database.replica import Replica, replicated
from tests.support.database.rows import add_feature, two_tiers
from tests.support.waiting import wait_until
from tierline.base.settings import settings
from tierline.services.accounts.accounts import make_run_key
from tierline.stack.embedded import postgres, valkey
from tierline.stack.processes.logs import LogPump
from tierline.storage.db import migrate

MOST_LAG_S = 2
SOON_S = 30.0
LAG = "Tierline-Replica-Lag"


@dataclass
class Scene:
    """An API with a replica."""

    api: Api
    replica: Replica
    pump: LogPump

    def listed(self) -> tuple[set[str], float | None]:
        """The ids of GET /v1/jobs, and the lag of the replica that it was read from, if it was."""
        response = self.api.get("/v1/jobs", params={"limit": 200})
        assert response.status_code == 200
        lag = response.headers.get(LAG)
        return {job["id"] for job in response.json()["data"]}, None if lag is None else float(lag)

    def reason(self) -> str | None:
        """Why the primary is read, as /readyz says; None: the replica is."""
        body: dict[str, Any] = self.api.get("/readyz").json()
        assert body["ready"] is True
        reason: str | None = body["degraded"].get("replica")
        return reason

    def metric(self, name: str) -> float:
        """The value of a metric of the replica."""
        text = self.api.get("/metrics").text
        (line,) = [one for one in text.splitlines() if one.startswith(f"tierline_{name}{{")]
        return float(line.split()[-1])

    def submit(self) -> str:
        job: str = self.api.submit("hello")["id"]
        return job

    def wait_for_replica(self) -> None:
        wait_until(lambda: self.listed()[1] is not None, SOON_S, "the replica to be read")


@pytest.fixture(scope="module")
def pump() -> Iterator[LogPump]:
    pump = LogPump()
    yield pump
    pump.close()


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory, pump: LogPump) -> Iterator[Replica]:
    with replicated(tmp_path_factory.mktemp("replicated"), pump) as made:
        migrate.upgrade(postgres.url(made.primary.home))
        yield made


@pytest.fixture(scope="module")
def environment(replica: Replica) -> Iterator[pytest.MonkeyPatch]:
    url = postgres.url(replica.primary.home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        patch.setenv("DATABASE_READ_URL", replica.url(url))
        patch.setenv("REDIS_URL", valkey.url(replica.primary.home))
        patch.setenv("TIERLINE_REPLICA_LAG_S", str(MOST_LAG_S))
        settings.cache_clear()
        yield patch
    settings.cache_clear()


@pytest.fixture(scope="module")
def scene(replica: Replica, environment: pytest.MonkeyPatch, pump: LogPump) -> Iterator[Scene]:
    url = postgres.url(replica.primary.home)
    with psycopg.connect(url, autocommit=True) as connection:
        add_feature(connection, two_tiers("echo"))
    with serving() as address:
        api = Api(address, make_run_key(url, "tests"))
        made = Scene(api, replica, pump)
        made.wait_for_replica()
        yield made
        api.close()


def test_what_may_be_late_is_read_from_the_replica_and_ones_own_job_from_the_primary(
    scene: Scene,
) -> None:
    scene.wait_for_replica()
    job = scene.submit()
    own = scene.api.get(f"/v1/jobs/{job}")
    assert own.status_code == 200
    assert LAG not in own.headers
    wait_until(lambda: job in scene.listed()[0], SOON_S, "the job on the replica")
    for path in ("/v1/usage", "/v1/queues", "/v1/decisions", "/v1/features/echo/report"):
        assert LAG in scene.api.get(path).headers
    for path in (f"/v1/jobs/{job}/attempts", "/v1/batches", "/v1/features"):
        assert LAG not in scene.api.get(path).headers
    assert scene.reason() is None
    assert scene.metric("replica_read") == 1
    assert scene.metric("replica_lag_seconds") <= MOST_LAG_S


def test_a_replica_that_is_too_late_is_not_read_until_it_has_caught_up(scene: Scene) -> None:
    scene.wait_for_replica()
    scene.replica.pause()
    try:
        job = scene.submit()
        assert scene.api.get(f"/v1/jobs/{job}").status_code == 200
        jobs, lag_s = scene.listed()
        assert job not in jobs or lag_s is None  # a late list, unless it was too late at once
        wait_until(lambda: scene.listed()[1] is None, SOON_S, "the primary to be read")
        assert job in scene.listed()[0]
        reason = scene.reason()
        assert reason is not None
        assert reason.startswith("the primary is read instead: it is ")
        assert "TIERLINE_REPLICA_LAG_S" in reason
        assert scene.metric("replica_read") == 0
        assert scene.metric("replica_lag_seconds") > MOST_LAG_S
    finally:
        scene.replica.resume()
    scene.wait_for_replica()
    assert scene.reason() is None
    assert job in scene.listed()[0]


def test_without_the_replica_the_primary_is_read(scene: Scene) -> None:
    scene.wait_for_replica()
    scene.replica.stop()
    try:
        job = scene.submit()
        # A connection may still be one that was cut; then the caller is told to ask again.
        wait_until(
            lambda: scene.api.get("/v1/jobs").status_code == 200 and scene.listed()[1] is None,
            SOON_S,
            "the primary to be read",
        )
        assert job in scene.listed()[0]
        wait_until(lambda: scene.reason() is not None, SOON_S, "the reason")
        assert "does not answer" in (scene.reason() or "")
    finally:
        scene.replica.start(scene.pump)
    scene.wait_for_replica()
    assert job in scene.listed()[0]


def test_a_server_that_is_no_replica_is_not_read(
    scene: Scene, environment: pytest.MonkeyPatch, replica: Replica
) -> None:
    url = postgres.url(replica.primary.home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_READ_URL", url)
        settings.cache_clear()
        with serving() as address:
            api = scene.api.__class__(address, make_run_key(url, "other"))
            try:
                wait_until(
                    lambda: (
                        "no replica" in api.get("/readyz").json()["degraded"].get("replica", "")
                    ),
                    SOON_S,
                    "the fault to be told",
                )
                assert LAG not in api.get("/v1/jobs").headers
            finally:
                api.close()
    settings.cache_clear()
