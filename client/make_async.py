"""Writes tierline_client/async_client.py from client.py, so that both have one source.

    python client/make_async.py

A test compares them. Examples stay in the sync client.
"""

import re
from pathlib import Path

FOLDER = Path(__file__).parent / "tierline_client"
PLAIN = (
    (
        '"""The client for programs with threads. `async_client` has the same surface for'
        ' asyncio."""',
        '"""The client for asyncio, written from `client` by make_async.py: change that one."""',
    ),
    (
        "A client of the API. It may be shared by threads; close it, or use it as a context"
        " manager.",
        "A client of the API for one event loop. Close it, or use it as a context manager.",
    ),
    ("class Tierline:", "class AsyncTierline:"),
    ("client: Tierline", "client: AsyncTierline"),
    ("import Job", "import AsyncJob"),
    (" Job[", " AsyncJob["),
    ("[Job[", "[AsyncJob["),
    ("(Job[", "(AsyncJob["),
    ("sync_driver", "async_driver"),
    ("SyncDriver", "AsyncDriver"),
    ("httpx.Client", "httpx.AsyncClient"),
    ("def __enter__", "def __aenter__"),
    ("def __exit__", "def __aexit__"),
    ("        self.close()", "        await self.close()"),
    ("self._driver.close()", "await self._driver.close()"),
    ("self._driver.run(", "await self._driver.run("),
    ("for job in self._driver", "async for job in self._driver"),
    ("for row in self._driver", "async for row in self._driver"),
    (" Iterator[", " AsyncIterator["),
    (
        "import Callable, Iterable, Iterator, Mapping",
        "import AsyncIterator, Callable, Iterable, Mapping",
    ),
    *((f"class {name}:", f"class Async{name}:") for name in ("Jobs", "Batches", "Features")),
    *(
        (f": {name} = {name}(self", f": Async{name} = Async{name}(self")
        for name in ("Jobs", "Batches", "Features")
    ),
)
STAY = r"__init__|_job|_ended|with_raw_response"


def made(source: str) -> str:
    """The async client for a sync one."""
    text = re.sub(r'\n\n( *)>>> (?:.|\n)*?"""', r'\n\1"""', source)
    for old, new in PLAIN:
        text = text.replace(old, new)
    text = re.sub(rf"(?m)^    def (?!{STAY})", "    async def ", text)
    # An overload of a generator is a plain function that returns an iterator.
    return re.sub(r"(    @overload\n)    async def run\(", r"\1    def run(", text)


if __name__ == "__main__":
    (FOLDER / "async_client.py").write_text(made((FOLDER / "client.py").read_text()))
