"""An API on an empty database, as `tierline` finds it: TIERLINE_URL and TIERLINE_API_KEY.

No worker runs: what these tests ask is answered by the API alone.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import structlog

from tests.support.api.forked import forked_api
from tests.support.cli import Ran, Tierline
from tests.support.fake_servers.model_server import ModelServer
from tests.support.processes.up import environment as clean_environment
from tests.support.scenes.bench import NoLeases, WakeUps
from tests.support.waiting import DEADLINE_S
from tierline import providers
from tierline.base.ids import new_id
from tierline.base.settings import settings
from tierline.cli import main
from tierline.cli.features.feature_file import new_feature
from tierline.cli.shared import output
from tierline.rules.queues import POOLS
from tierline.services.accounts.accounts import ensure_first_admin
from tierline.services.evidence.evaluation.evaluation_hints import due_evaluations
from tierline.services.evidence.evaluation.evaluation_steps import step_due
from tierline.services.jobs.running.execute import Executor
from tierline.services.operations.do import do
from tierline.services.operations.kinds import KINDS
from tierline.storage.db.engine import create_pool
from tierline.storage.operations import operations


@pytest.fixture(scope="module")
def api(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where the API answers, and its first admin key."""
    key = ensure_first_admin(database_url)
    assert key is not None
    log = tmp_path_factory.mktemp("api") / "log"
    with forked_api(clean_environment({"DATABASE_URL": database_url}), log) as url:
        yield {"TIERLINE_URL": url, "TIERLINE_API_KEY": key}


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In the place of this user's cache."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def tierline(
    api: dict[str, str],
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Tierline:
    """Run a command in this process, as the admin unless `key` says otherwise."""

    def run(*arguments: object, key: str | None = None) -> Ran:
        output.console.cache_clear()
        for name, value in api.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
        if key is not None:
            monkeypatch.setenv("TIERLINE_API_KEY", key)
        capsys.readouterr()
        code = main.run([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        return Ran(code, shown.out, shown.err)

    return run


@pytest.fixture
def feature(tierline: Tierline, tmp_path: Path) -> str:
    """An applied feature's name; its input is {"text": …}."""
    path = tmp_path / "order-number.yaml"
    path.write_text(new_feature("order-number", str(path)))
    assert tierline("features", "apply", path).code == 0
    return "order-number"


@pytest.fixture
def trains(api: dict[str, str], database_url: str) -> Iterator[None]:
    """Trainings are done, in this process: the trainer's own processes have tests of their own."""
    over = threading.Event()
    with create_pool(database_url, "test", 3) as pool:

        def work() -> None:
            while not over.wait(0.02):
                token = new_id()
                with pool.connection() as connection:
                    row = operations.claim(connection, token, KINDS)
                if row is not None:
                    do(pool, token)

        thread = threading.Thread(target=work, name="trainer")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(DEADLINE_S)


@pytest.fixture(scope="module")
def models(api: dict[str, str], database_url: str, redis_url: str) -> Iterator[ModelServer]:
    """The model server, with a worker that asks it for whatever is queued."""
    with (
        ModelServer() as server,
        pytest.MonkeyPatch.context() as patch,
        structlog.testing.capture_logs(),  # stdout is the commands'
    ):
        patch.setenv("DATABASE_URL", database_url)
        patch.setenv("REDIS_URL", redis_url)
        patch.setenv("OPENAI_BASE_URL", server.url)
        patch.delenv("OPENAI_API_KEY", raising=False)
        settings.cache_clear()
        providers.close()
        over = threading.Event()
        with create_pool(database_url, "test", 4) as pool:
            queues = (*POOLS["slm"], *POOLS["deeper-analysis"])
            executor = Executor(
                pool=pool,
                settings=settings(),
                queues=queues,
                worker="test",
                leases=NoLeases(),
                wake_ups=WakeUps(),
                stopping=lambda: False,
            )

            def work() -> None:
                with psycopg.connect(database_url, autocommit=True) as connection:
                    while not over.wait(0.02):
                        rows = connection.execute("SELECT id FROM jobs WHERE status = 'queued'")
                        for (job_id,) in rows.fetchall():
                            executor.run(job_id)
                        for evaluation_id in due_evaluations(pool):
                            step_due(connection, evaluation_id)

            thread = threading.Thread(target=work, name="worker")
            thread.start()
            try:
                yield server
            finally:
                over.set()
                thread.join(DEADLINE_S)
        providers.close()
    settings.cache_clear()
