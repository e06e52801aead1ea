"""The commands of the README and of the docs, typed as they stand there.

The commands of the first terminal stay, as do those of the third; all others run in one shell after
the other, which pass on what they export. Only ports are other ones than the page says. The README
runs with an empty home and the small local model. The other pages run with a home whose database
is migrated, and a server on loopback answers in the model's place.
"""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.docs import Block, blocks
from tests.support.fake_servers.stand_ins import answering_docs
from tests.support.processes.flower import tasks
from tests.support.processes.prepared_home import MakeHome
from tests.support.processes.up import environment
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.stack.ports import free_port

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"
# The tutorial starts the product, which the other pages use.
PAGES = [TUTORIAL, *sorted(set((ROOT / "docs").glob("*.md")) - {TUTORIAL})]
STAYS = {"./tierline up": "Ctrl-C stops everything", "examples/receiver.py": "listening on"}


class Walk:
    """A folder that looks like a checkout to whoever types there, and what runs in it."""

    def __init__(self, folder: Path, stack: ExitStack, local_url: str | None) -> None:
        self.folder = folder
        self._local_url = local_url  # of a server in the local model's place
        self._stack = stack
        self._exports = folder / ".exports"
        self._exports.touch()
        self._receiver_port = str(free_port())
        self._api_port = "8000"
        self.staying: list[Path] = []  # what each of the commands that stay has said

    def run(self, block: Block) -> str:
        """Type the block; its stdout. Fails on another exit code than the page says."""
        stays = next((word for mark, word in STAYS.items() if mark in block.text), None)
        if stays is not None:
            return self._start(block, stays)
        script = f". ./.exports\nset -e\n{self._here(block.text)}\nexport -p > ./.exports\n"
        ended = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert ended.returncode == block.exit_code, f"{block.where}: {ended.stdout}{ended.stderr}"
        assert "Traceback" not in ended.stderr
        return ended.stdout

    def _start(self, block: Block, until: str) -> str:
        said = self.folder / f".said-{len(self.staying)}"
        self.staying.append(said)
        text = self._here(block.text).replace(
            "./tierline up", "./tierline up --port 0 --flower-port 0"
        )
        text = re.sub(r"(?m)^(?=\.venv|TIERLINE_WEBHOOK_ALLOW|\./tierline up)", "exec env ", text)
        with said.open("w") as sink:
            process = subprocess.Popen(
                ["bash", "-c", text],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        self._stack.callback(self._end, process)
        wait_until(
            lambda: until in said.read_text() or process.poll() is not None, 120, f"{block.where}"
        )
        assert process.poll() is None, said.read_text()
        if found := re.search(r"API +http://127\.0\.0\.1:(\d+)", said.read_text()):
            self._api_port = found[1]
        return said.read_text()

    @staticmethod
    def _end(process: "subprocess.Popen[bytes]") -> None:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()

    def _here(self, text: str) -> str:
        return text.replace(":8000", f":{self._api_port}").replace("9000", self._receiver_port)

    def _environment(self) -> dict[str, str]:
        kept = environment({"HOME": str(self.folder)})
        kept.pop("XDG_DATA_HOME", None)
        if self._local_url is not None:
            kept["TIERLINE_LOCAL_URL"] = self._local_url
        return kept


@contextmanager
def checkout(folder: Path, local_url: str | None = None) -> Iterator[Walk]:
    shutil.copy(ROOT / "tierline", folder)
    for name in (".venv", "examples"):
        (folder / name).symlink_to(ROOT / name)
    with ExitStack() as stack:
        yield Walk(folder, stack, local_url)


def in_flower(walk: Walk) -> set[str]:
    """The names of the tasks that Flower shows to who was told its address and password."""
    match = re.search(
        r"Flower +(\S+) +\(user (\S+)\)\n +password (\S+)", walk.staying[0].read_text()
    )
    assert match is not None
    address, *credentials = match.groups()
    with httpx.Client(base_url=address, auth=(credentials[0], credentials[1])) as client:
        return {str(task["name"]) for task in tasks(client)}


def first_words(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines() if line.strip()]


def type_page(walk: Walk, page: Path) -> int:
    """Run a page's commands, and hold what it shows to what they print; how many ran."""
    ran, printed = 0, ""
    for block in blocks(page):
        if block.kind == "sh" and block.why_not_run is None:
            printed = walk.run(block)
            ran += 1
        elif block.kind == "console" and block.comment == "":
            shown = first_words(block.text)
            assert shown == first_words(printed), f"{block.where}: now it is\n{printed}"
    return ran


def test_every_command_of_the_readme_does_what_it_says(tmp_path: Path) -> None:
    with checkout(tmp_path) as walk:
        assert type_page(walk, README) == 3


@pytest.mark.timeout(900)
def test_every_command_of_the_docs_does_what_the_page_says(
    tmp_path: Path, make_home: MakeHome
) -> None:
    make_home(tmp_path / ".local" / "share" / "tierline")
    with answering_docs() as url, checkout(tmp_path, url) as walk:
        ran = sum(type_page(walk, page) for page in PAGES)
        wait_until(
            lambda: {"slm.answer", "webhooks.deliver"} <= in_flower(walk), DEADLINE_S, "the tasks"
        )
        receiver = walk.staying[1]
        wait_until(
            lambda: "job.completed" in receiver.read_text(),
            DEADLINE_S,
            "the webhook to be received",
        )
    assert ran >= 9
    assert "0 rejected" in receiver.read_text()
