"""A replica for reading that falls behind, and one that goes away."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.faults.breaking import fault
from tests.faults.orders import ACCOUNTS
from tests.faults.scene import PATIENCE_S, ROWS_EVERY_S, Scene
from tests.support.database.replica import replica_of
from tests.support.waiting import wait_until
from tierline.stack.home import Home, open_home
from tierline.stack.processes.logs import LogPump

MOST_LAG_S = 1
LAG = "Tierline-Replica-Lag"


@dataclass(frozen=True)
class Primary:
    """The scene's own Postgres."""

    home: Home


@fault("a replica that falls behind, and then is away")
def slow_replica(scene: Scene) -> None:
    """A second API reads from it. It applies nothing for a while, catches up, and is stopped: each
    time lists go on, from the primary, with all that was accepted.
    """
    url = str(scene.up.line["database_url"])
    pump = LogPump()
    with (
        tempfile.TemporaryDirectory(prefix="tierline-replica-") as folder,
        replica_of(Primary(open_home(scene.home)), Path(folder) / "replica", pump) as replica,
        scene.second_api(
            DATABASE_READ_URL=replica.url(url), TIERLINE_REPLICA_LAG_S=str(MOST_LAG_S)
        ),
        _lister(scene) as lister,
    ):
        _wait(lambda: LAG in _listed(lister).headers, "the replica to be read")
        replica.pause()
        _wait(lambda: LAG not in _listed(lister).headers, "the late replica to be left")
        scene.last(scene.times.siege_s)
        assert LAG not in _listed(lister).headers, "it is later still"
        replica.resume()
        _wait(lambda: LAG in _listed(lister).headers, "the replica to be read again")
        replica.stop()
        _wait(lambda: _listed(lister).is_success, "lists without the replica")
        scene.last(scene.times.siege_s)
        answer = _listed(lister)
        assert answer.is_success, answer.text
        assert LAG not in answer.headers
    pump.close()


@contextmanager
def _lister(scene: Scene) -> Iterator[httpx.Client]:
    """A caller of the second API."""
    headers = {"Authorization": f"Bearer {scene.keys[ACCOUNTS[0]]}"}
    with httpx.Client(
        base_url=scene.apis[-1], headers=headers, timeout=15, trust_env=False
    ) as client:
        yield client


def _listed(client: httpx.Client) -> httpx.Response:
    """A page of jobs. 503: the connection was cut with the replica, and may be asked again."""
    answer = client.get("/v1/jobs", params={"limit": 5})
    assert answer.status_code in {200, 503}, answer.text
    return answer


def _wait(condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, PATIENCE_S, what, ROWS_EVERY_S)
