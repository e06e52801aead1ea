"""`tierline up` as a supervisor: what it starts, keeps, ends and leaves, over small processes."""

import os
import shutil
import signal
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from tests.support.processes import small_api
from tests.support.processes.prepared_home import MakeHome
from tests.support.processes.previous_release import python_path
from tests.support.processes.started import ROOT
from tests.support.processes.up import RunningUp, command, environment, run_up
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.stack.processes.identity import group_members

NO_MODEL = {"TIERLINE_LOCAL_URL": "http://127.0.0.1:9/v1"}
API = f"api: python {small_api.__file__} $PORT"
SLEEP = "import time; time.sleep(3600)"


@pytest.fixture
def procfile(tmp_path: Path) -> Path:
    path = tmp_path / "Procfile"
    path.write_text(f"{API}\nidle: python -c '{SLEEP}'\n")
    return path


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningUp]:
    """One `up` on a new home, for the tests that leave it running."""
    folder = tmp_path_factory.mktemp("running")
    procfile = folder / "Procfile"
    procfile.write_text(f"{API}\nidle: python -c '{SLEEP}'\n")
    with run_up(folder / "home", "--procfile", str(procfile), env=NO_MODEL) as up:
        yield up


def left(family: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_one_signal_stops_all_of_it_and_leaves_nothing(
    tmp_path: Path, procfile: Path, make_home: MakeHome, number: int
) -> None:
    with run_up(make_home(tmp_path / "home"), "--procfile", str(procfile), env=NO_MODEL) as up:
        family = up.descendants()
        assert {"postgres", "valkey-server"} <= {one.name() for one in family}
        assert httpx.get(f"{up.line['api']}/readyz").status_code == 200
        assert up.stop(number) == 0
        assert left(family) == []
        assert list((up.home / "run").glob("*.pid.json")) == []
        assert not (up.home / "run" / "up.json").exists()


def test_it_says_where_everything_is_in_one_line(running: RunningUp) -> None:
    names = ["api", "flower", "api_key", "flower_user", "flower_password"]
    assert list(running.line) == [*names, "database_url", "redis_url"]
    for name in ("up.json", "api_key"):
        assert (running.home / "run" / name).stat().st_mode & 0o077 == 0
    steps = ("starting postgres and valkey", "preparing the database", "starting api, ")
    stderr = running.stderr()
    places = [stderr.index(step) for step in (*steps, "waiting until all of them answer")]
    assert places == sorted(places)


def test_a_second_up_on_the_home_says_who_holds_it(running: RunningUp) -> None:
    second = subprocess.run(
        command(running.home), env=environment({}), capture_output=True, text=True, check=False
    )
    assert second.returncode == 2
    assert f"pid {running.process.pid}" in second.stderr
    assert second.stdout == ""
    assert httpx.get(f"{running.line['api']}/readyz").status_code == 200


@pytest.mark.parametrize("name", ["idle", "api", "postgres", "valkey"])
def test_a_killed_process_is_started_again(running: RunningUp, name: str) -> None:
    first = running.pid_of(name)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_until(
        lambda: running.pid_of(name) not in (None, first), DEADLINE_S, f"{name} to be started again"
    )
    assert f"{name} was ended by SIGKILL" in running.stderr()
    address = str(running.line["database_url"])
    wait_until(lambda: connects(address), DEADLINE_S, "the database to answer")
    ready = f"{running.line['api']}/readyz"
    wait_until(lambda: answers(ready), DEADLINE_S, "the api to answer")


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


def connects(database_url: str) -> bool:
    try:
        with psycopg.connect(database_url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def test_after_a_kill_of_up_the_next_one_ends_what_was_left(
    tmp_path: Path, procfile: Path, make_home: MakeHome
) -> None:
    # a child of a child: the kernel's signal at the parent's death does not reach it
    grandchild = tmp_path / "tree.py"
    grandchild.write_text(
        textwrap.dedent(f"""
        import subprocess, sys, time
        print(subprocess.Popen([sys.executable, "-c", {SLEEP!r}]).pid, flush=True)
        time.sleep(3600)
        """)
    )
    procfile.write_text(f"{API}\ntree: python {grandchild}\n")
    home = make_home(tmp_path / "home")
    with run_up(home, "--procfile", str(procfile), env=NO_MODEL) as first:
        tree = first.pid_of("tree")
        assert tree is not None
        orphans = wait_until(
            lambda: [pid for pid in group_members(tree) if pid != tree],
            DEADLINE_S,
            "the grandchild",
        )
        with psycopg.connect(str(first.line["database_url"])) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS id")
        first.process.kill()
        first.process.wait()
        orphan = psutil.Process(orphans[0])
        with run_up(home, "--procfile", str(procfile), env=NO_MODEL) as second:
            assert left([orphan]) == []
            with psycopg.connect(str(second.line["database_url"])) as connection:
                assert connection.execute("SELECT id FROM kept").fetchone() == (1,)


def test_a_kill_of_up_takes_its_children_along(
    tmp_path: Path, procfile: Path, make_home: MakeHome
) -> None:
    with run_up(make_home(tmp_path / "home"), "--procfile", str(procfile), env=NO_MODEL) as up:
        family = up.descendants()
        up.process.kill()
        up.process.wait()
        wait_until(lambda: not left(family), DEADLINE_S, "the children to end by themselves")


def test_a_second_signal_ends_even_what_ignores_the_first(
    tmp_path: Path, procfile: Path, make_home: MakeHome
) -> None:
    deaf = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    deaf += 'print(\\"deaf\\", flush=True); time.sleep(3600)'
    procfile.write_text(f'{API}\ndeaf: python -c "{deaf}"\n')
    extra = {**NO_MODEL, "TIERLINE_GRACE_S": "3600"}
    with run_up(make_home(tmp_path / "home"), "--procfile", str(procfile), env=extra) as up:
        log = up.home / "log" / "deaf.log"
        wait_until(
            lambda: log.exists() and "deaf |" in log.read_text(), DEADLINE_S, "it to be deaf"
        )
        family = up.descendants()
        deaf_pid = up.pid_of("deaf")
        api_pid = up.pid_of("api")
        up.process.send_signal(signal.SIGTERM)
        wait_until(
            lambda: not (api_pid and psutil.pid_exists(api_pid)), DEADLINE_S, "the api to end"
        )
        assert deaf_pid is not None
        assert psutil.pid_exists(deaf_pid)
        assert up.stop() == 130
        assert left(family) == []


def test_what_ignores_the_signal_is_ended_after_its_grace(
    tmp_path: Path, procfile: Path, make_home: MakeHome
) -> None:
    deaf = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(3600)"
    procfile.write_text(f"{API}\ndeaf: python -c '{deaf}'\n")
    extra = {**NO_MODEL, "TIERLINE_GRACE_S": "0.5"}
    with run_up(make_home(tmp_path / "home"), "--procfile", str(procfile), env=extra) as up:
        family = up.descendants()
        assert up.stop() == 0
        assert left(family) == []


def test_a_process_that_cannot_start_is_named_with_its_last_words(
    tmp_path: Path, procfile: Path, make_home: MakeHome
) -> None:
    procfile.write_text("api: python -c 'raise SystemExit(\"no such thing\")'\n")
    home = make_home(tmp_path / "home")
    ended = subprocess.run(
        command(home, ["--procfile", str(procfile)]),
        env=environment(NO_MODEL),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "api keeps ending" in ended.stderr
    assert "no such thing" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_said_and_nothing_is_left(
    running: RunningUp, tmp_path: Path, procfile: Path
) -> None:
    port = str(running.line["api"]).rpartition(":")[2]
    second = subprocess.run(
        command(tmp_path / "two", ["--port", port, "--procfile", str(procfile)]),
        env=environment(NO_MODEL),
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 2
    assert f"--port {port}" in second.stderr


def test_any_path_will_do_for_a_home(tmp_path: Path, procfile: Path) -> None:
    """It has spaces, and is longer than a socket's path may be."""
    home = tmp_path / "with a space" / "/".join(["long" * 25] * 6)
    with run_up(home, "--procfile", str(procfile), env=NO_MODEL) as up:
        assert connects(str(up.line["database_url"]))
        assert up.stop() == 0


def test_two_homes_run_side_by_side(
    running: RunningUp, tmp_path: Path, procfile: Path, make_home: MakeHome
) -> None:
    home = make_home(tmp_path / "two")
    with run_up(home, "--procfile", str(procfile), env=NO_MODEL) as two:
        assert running.line["api"] != two.line["api"]
        assert two.stop() == 0
    assert httpx.get(f"{running.line['api']}/readyz").status_code == 200
    assert connects(str(running.line["database_url"]))


def test_servers_of_ones_own_replace_the_embedded_ones(
    running: RunningUp, tmp_path: Path, procfile: Path
) -> None:
    own = {name: str(running.line[name.lower()]) for name in ("DATABASE_URL", "REDIS_URL")}
    options = ("--procfile", str(procfile))
    with run_up(tmp_path / "two", *options, env={**NO_MODEL, **own}) as two:
        assert two.line["database_url"] == own["DATABASE_URL"]
        assert two.pid_of("postgres") is None
        assert two.pid_of("valkey") is None
    assert connects(own["DATABASE_URL"])


def test_a_normal_user_can_run_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    if os.geteuid() != 0:
        pytest.skip("not root: every other test here runs as a normal user")
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv is not on this machine")
    folder = Path("/tmp") / f"tierline-test-{os.getpid()}"
    folder.mkdir()
    try:
        os.chown(folder, 65534, 65534)
        procfile = folder / "Procfile"
        procfile.write_text(f"{API}\n")
        # The user may not be let into this checkout, and Alembic asks for that.
        code = folder / "code"
        for name in ("src/tierline", "api", "workers", "migrations"):
            shutil.copytree(ROOT / name, code / name)
        # Reading is kept, nothing else: the interpreter may lie in root's own folder.
        prefix = [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups"]
        prefix += ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
        prefix += ["--bounding-set=-all,+dac_read_search"]
        usual = {**NO_MODEL, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
        usual |= python_path(code)
        home = folder / "home"
        with run_up(home, "--procfile", str(procfile), env=usual, prefix=prefix) as up:
            assert home.stat().st_uid == 65534
            assert psutil.Process(up.pid_of("postgres")).uids().real == 65534
            assert connects(str(up.line["database_url"]))
            assert up.stop() == 0
    finally:
        shutil.rmtree(folder)


def test_somebody_elses_home_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to make a folder of somebody else's")
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    ended = subprocess.run(
        command(home), env=environment(NO_MODEL), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "belongs to user 65534" in ended.stderr


def test_the_local_model_answers_under_its_name(
    tmp_path: Path, procfile: Path, make_home: MakeHome
) -> None:
    shown = tmp_path / "shown"
    show = "import os; open(os.environ['SHOWN'], 'w').write("
    show += "os.environ['TIERLINE_LOCAL_URL'] + ' ' + os.environ['TIERLINE_LOCAL_API_KEY']); "
    procfile.write_text(f'{API}\nshow: python -c "{show}{SLEEP}"\n')
    env = {"SHOWN": str(shown), "TIERLINE_MODEL_DIR": str(tmp_path / "cache")}
    with run_up(make_home(tmp_path / "home"), "--procfile", str(procfile), env=env):
        text = wait_until(
            lambda: shown.read_text() if shown.exists() else "",
            DEADLINE_S,
            "the environment to be shown",
        )
        servers, key = text.split(" ")
        name, _, url = servers.split(",")[0].partition("=")
        assert name == "smollm2-135m"
        question = {"model": name, "messages": [{"role": "user", "content": "Say yes."}]}
        wrong = httpx.post(f"{url}/chat/completions", json=question)
        assert wrong.status_code == 401
        answer = httpx.post(
            f"{url}/chat/completions",
            json={**question, "max_tokens": 5},
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
        )
        assert answer.json()["model"] == name
        assert answer.json()["usage"]["completion_tokens"] > 0


def test_the_installed_command_is_the_checkouts_launcher() -> None:
    launcher = Path(__file__).parents[2] / "tierline"
    shown = subprocess.run(
        [str(launcher), "--version"], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
