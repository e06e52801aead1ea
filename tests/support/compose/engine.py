"""docker-compose.yml on podman, without a registry of images.

The base images are substitutes, made from Debian's packages (substitutes/). Images, containers and
networks are kept in a folder of their own, apart from what else podman has on this machine.
"""

import io
import os
import secrets
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.processes.started import ROOT
from tests.support.waiting import wait_until

SUBSTITUTES = Path(__file__).parent / "substitutes"
FAR_END = Path(__file__).parent / "far_end.py"
COMPOSE = ROOT / ".venv" / "compose" / "bin" / "podman-compose"
PROJECT = "tierline-compose-test"
IMAGE = "localhost/tierline:0.2.0"  # as docker-compose.yml names it
BASES = ("python", "postgres", "valkey")
PORTS = (8000, 5555)  # docker-compose.yml publishes them
PROCESSES = ("api", "dispatcher", "slm", "deeper", "webhooks", "quarantine", "trainer", "flower")
NETWORKS = "10.89.0.0/16"  # podman's own
PROGRAMS = ("podman", "runc", "debootstrap", "catatonit")
BUILD_S = 1800.0

_STORAGE = """[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""
# Without the right to raise limits, containers cannot have higher ones than this process.
_CONTAINERS = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""


def missing() -> str | None:
    """Why it cannot run here; None when it can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if os.geteuid() != 0:
        return "needs root: it makes images from Debian's packages"
    if absent or not Path("/usr/lib/podman/netavark").exists():
        return (
            "apt-get install podman runc debootstrap catatonit netavark aardvark-dns "
            f"(missing: {', '.join(absent) or 'netavark'})"
        )
    if not COMPOSE.exists():
        return "run 'make compose-test', which installs podman-compose"
    taken = [port for port in PORTS if _in_use(port)]
    return f"docker-compose.yml publishes port {taken[0]}, which is taken" if taken else None


def _in_use(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Engine:
    """The Compose project, in a folder that may be kept for the next run's images."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkout = folder / "checkout"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("storage.conf", _STORAGE), ("containers.conf", _CONTAINERS)):
            (folder / name).write_text(text.format(folder=folder))
        self._env = {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "BUILDAH_ISOLATION": "chroot",
        }

    def podman(self, *words: str, cwd: Path | None = None, timeout_s: float = 120.0) -> str:
        """One command's stdout. Raises AssertionError with its stderr if it fails."""
        return self._run(["podman", *words], cwd or self.folder, timeout_s)

    def compose(self, *words: str, timeout_s: float = 300.0) -> str:
        """One command of podman-compose in the checkout."""
        return self._run([str(COMPOSE), "-p", PROJECT, *words], self.checkout, timeout_s)

    def container(self, service: str) -> str:
        """The name of a service's container."""
        return f"{PROJECT}_{service}_1"

    def make_bases(self) -> None:
        """The substitutes of the base images, unless an earlier run made them."""
        if not self._has("localhost/debian-root:1"):
            root = self.folder / "root"
            shutil.rmtree(root, ignore_errors=True)
            words = ["debootstrap", "--variant=minbase", "--include=ca-certificates,python3"]
            self._run([*words, "trixie", str(root)], self.folder, BUILD_S)
            authorities = Path("etc/ssl/certs/ca-certificates.crt")
            shutil.copy(Path("/") / authorities, root / authorities)
            archive = self.folder / "root.tar"
            self._run(["tar", "-C", str(root), "-cf", str(archive), "."], self.folder, BUILD_S)
            self.podman("import", str(archive), "localhost/debian-root:1", timeout_s=BUILD_S)
            archive.unlink()
            shutil.rmtree(root)
        for name in BASES:
            if not self._has(f"localhost/substitute-{name}:1"):
                file = f"Dockerfile.{name}"
                words = ["build", "--quiet", "--tag", f"localhost/substitute-{name}:1"]
                self.podman(*words, "--file", file, ".", cwd=SUBSTITUTES, timeout_s=BUILD_S)

    def check_out(self, settings: Mapping[str, str]) -> None:
        """The files of HEAD with an .env, as production.md says."""
        shutil.rmtree(self.checkout, ignore_errors=True)
        words = ["git", "archive", "--format=tar", "HEAD"]
        packed = subprocess.run(words, cwd=ROOT, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as files:
            files.extractall(self.checkout, filter="data")
        made = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "TIERLINE_FLOWER_PASSWORD")
        values = {name: secrets.token_urlsafe(24) for name in made}
        values |= {f"{name.upper()}_IMAGE": f"localhost/substitute-{name}:1" for name in BASES}
        lines = [f"{name}={value}\n" for name, value in {**values, **settings}.items()]
        (self.checkout / ".env").write_text("".join(lines))

    def build(self) -> str:
        """Build the product's image; its id."""
        self.compose("build", "api", timeout_s=BUILD_S)
        return self.podman("image", "inspect", "--format", "{{.Id}}", IMAGE).strip()

    def up(self, *, recreate: bool = False) -> None:
        """Start everything in the order of docker-compose.yml.

        The order is kept here: podman before 4.6 cannot wait for a health check, and its own
        `--requires` does not start beside a container that has ended, as `migrate` has.
        """
        anew = ["--force-recreate"] if recreate else []
        up = ["up", "--detach", "--no-deps"]
        self.compose(*up, "postgres", "valkey")
        wait_until(self._databases_answer, 120, "PostgreSQL and Valkey", every_s=0.5)
        self.compose(*up, *anew, "migrate")
        assert self.podman("wait", self.container("migrate")).strip() == "0", self.log("migrate")
        self.compose(*up, *anew, *PROCESSES)

    def log(self, service: str) -> str:
        """A service's log."""
        words = ["podman", "logs", self.container(service)]
        ran = subprocess.run(words, env=self._env, capture_output=True, text=True, check=False)
        return ran.stdout + ran.stderr

    def start_far_end(self) -> None:
        """The model server and webhook receiver, as `far-end` on the project's network."""
        self.podman(
            *("run", "--detach", "--name", f"{PROJECT}_far-end", "--network-alias", "far-end"),
            *("--network", f"{PROJECT}_default", "--volume", f"{FAR_END}:/far_end.py:ro"),
            *(IMAGE, "python", "/far_end.py"),
        )

    def kill_process(self, service: str) -> None:
        """End a container's first process from outside, as a crash does."""
        name = self.container(service)
        pid = int(self.podman("inspect", "--format", "{{.State.Pid}}", name))
        os.kill(pid, 9)

    def down(self, *, with_data: bool = False) -> None:
        """Stop and remove the containers; `with_data`: the volumes too."""
        self.podman("rm", "--force", "--ignore", f"{PROJECT}_far-end")
        self.compose("down", *(["--volumes"] if with_data else []))

    def leftovers(self) -> list[str]:
        """Containers, volumes and networks of the project."""
        listed = [
            self.podman("ps", "--all", "--format", "{{.Names}}"),
            self.podman("volume", "ls", "--format", "{{.Name}}"),
            self.podman("network", "ls", "--format", "{{.Name}}"),
        ]
        return [name for text in listed for name in text.split() if name.startswith(PROJECT)]

    def _databases_answer(self) -> bool:
        postgres = ("pg_isready", "--username=tierline", "--dbname=tierline")
        for service, words in (("postgres", postgres), ("valkey", ("valkey-cli", "ping"))):
            ran = subprocess.run(
                ["podman", "exec", self.container(service), *words],
                env=self._env,
                capture_output=True,
                check=False,
            )
            if ran.returncode != 0:
                return False
        return True

    def _has(self, image: str) -> bool:
        words = ["podman", "image", "exists", image]
        return subprocess.run(words, env=self._env, check=False).returncode == 0

    def _run(self, words: list[str], cwd: Path, timeout_s: float) -> str:
        ran = subprocess.run(
            words,
            cwd=cwd,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert ran.returncode == 0, f"{' '.join(words[:4])}: {(ran.stdout + ran.stderr)[-3000:]}"
        return ran.stdout
