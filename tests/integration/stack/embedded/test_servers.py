"""The embedded servers as clients see them."""

import stat
from pathlib import Path

import kombu
import psutil
import psycopg
import pytest
import redis

from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.errors import UsageError
from tierline.base.network.broker_urls import kombu_url
from tierline.stack.embedded import postgres, valkey
from tierline.stack.embedded.servers import Servers, running_servers
from tierline.stack.home import HomeBusy, HomeLock, open_home


def test_postgres_refuses_a_wrong_password(stack: Servers) -> None:
    address = postgres.url(stack.home).replace(stack.home.secret("postgres_app"), "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(address)


def test_redis_py_and_kombu_reach_the_same_broker(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        with kombu.Connection(kombu_url(redis_url)) as connection:
            queue = connection.SimpleQueue("letters")
            queue.put({"job": "1"})
            queue.close()
        assert client.llen("letters") == 1


def test_valkey_refuses_a_wrong_password(stack: Servers) -> None:
    assert not valkey.answers(valkey.socket_path(stack.home), "wrong")


def test_a_second_holder_of_the_home_is_told_who_has_it(stack: Servers) -> None:
    with pytest.raises(HomeBusy, match="pid"):
        HomeLock(stack.home).acquire()


@pytest.mark.parametrize(
    "name", ["with a space", "/".join(["long" * 25] * 6)], ids=["space", "very long"]
)
def test_servers_keep_their_data_and_leave_nothing_running(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    with running_servers(home) as first:
        with psycopg.connect(postgres.url(first.home)) as connection:
            connection.execute("CREATE TABLE kept (id int)")
        with redis.Redis.from_url(valkey.url(first.home)) as client:
            client.set("kept", "yes")
        pids = [child.pid for child in first.children()]
        sockets = first.home.sockets
    assert not any(psutil.pid_exists(pid) for pid in pids if pid is not None)
    assert not sockets.exists()
    with running_servers(home) as second:
        with psycopg.connect(postgres.url(second.home)) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        with redis.Redis.from_url(valkey.url(second.home)) as client:
            assert client.get("kept") == b"yes"


def test_two_homes_run_side_by_side(stack: Servers, tmp_path: Path) -> None:
    with running_servers(tmp_path / "other") as other:
        assert postgres.url(other.home) != postgres.url(stack.home)
        with psycopg.connect(postgres.url(other.home)) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_postgres_is_18_and_durable_and_recovers_after_a_kill(tmp_path: Path) -> None:
    with running_servers(tmp_path / "home") as servers:
        with psycopg.connect(postgres.url(servers.home)) as connection:
            assert connection.info.server_version // 10000 == 18
            for name in ("fsync", "full_page_writes", "synchronous_commit"):
                value = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
                assert value == ("on",), name
            connection.execute("CREATE TABLE kept AS SELECT 1 AS id")
        child = servers.postgres
        assert child is not None
        child.kill()
        wait_until(lambda: not child.running(), DEADLINE_S, "the killed server to be gone")
        child.start()
        postgres.wait_ready(servers.home, child)
        with psycopg.connect(postgres.url(servers.home)) as connection:
            assert connection.execute("SELECT id FROM kept").fetchone() == (1,)


def test_nothing_of_a_home_can_be_read_or_reached_by_others(stack: Servers) -> None:
    home = stack.home
    for folder in (home.path, home.log, home.run, home.sockets, home.postgres, home.valkey):
        mode = stat.S_IMODE(folder.stat().st_mode)
        assert mode & 0o077 == 0, f"{folder} is {mode:o}"
    secrets = home.path / "secrets.json"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert stat.S_IMODE((home.run / "valkey.conf").stat().st_mode) == 0o600
    passwords = [home.secret(name) for name in ("postgres", "postgres_app", "valkey")]
    assert len(set(passwords)) == 3
    assert all(len(password) >= 32 for password in passwords)
    for child in stack.children():
        assert child.pid is not None
        family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
        assert [one.net_connections(kind="inet") for one in family] == [[]] * len(family)


def test_folders_that_were_open_before_are_closed(tmp_path: Path) -> None:
    for name in ("log", "run"):
        (tmp_path / "home" / name).mkdir(parents=True, mode=0o755)
    home = open_home(tmp_path / "home")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (home.log, home.run)} == {0o700}
    home.sockets.rmdir()


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_home_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "home"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(UsageError, match="other users can write"):
        open_home(path)
