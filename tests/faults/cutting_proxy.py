"""A stand between a process and Postgres that cuts connections right after a statement was done.

What the server answers has been read here, and is thrown away: the statement was carried out and
committed, and whoever asked for it cannot know.
"""

import contextlib
import random
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

BUFFER = 65536
STARTING = 12  # exchanges of a connection that begins: who it is, its password, its settings
MOST_EXCHANGES = 40  # beyond those, before a connection is cut


class CuttingProxy:
    """Listens where a Postgres would, and passes on to a real one's socket."""

    def __init__(self, server: Path, folder: Path, seed: int) -> None:
        self.folder = folder
        self.cuts = 0
        self.cutting = True
        self._server = server
        self._rng = random.Random(seed)
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(folder / server.name))
        self._socket.listen(128)

    @classmethod
    @contextlib.contextmanager
    def before(cls, server: Path, seed: int) -> Iterator["CuttingProxy"]:
        """A proxy that runs inside the block, in a folder short enough for a socket's path."""
        with tempfile.TemporaryDirectory(prefix="tl-cut-", dir="/tmp") as folder:
            proxy = cls(server, Path(folder), seed)
            threading.Thread(target=proxy._accept, daemon=True).start()
            try:
                yield proxy
            finally:
                proxy._socket.shutdown(socket.SHUT_RDWR)
                proxy._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            left = STARTING + self._rng.randrange(MOST_EXCHANGES)
        with client, socket.socket(socket.AF_UNIX) as server:
            try:
                server.connect(str(self._server))
                threading.Thread(target=_pump, args=(client, server), daemon=True).start()
                while data := server.recv(BUFFER):
                    left -= 1
                    if left <= 0 and self.cutting:
                        with self._lock:
                            self.cuts += 1
                        break
                    client.sendall(data)
            except OSError:
                pass  # one of the two hung up
            finally:
                for each in (client, server):
                    with contextlib.suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)


def _pump(client: socket.socket, server: socket.socket) -> None:
    """What the client says, until either side ends."""
    with contextlib.suppress(OSError):
        while data := client.recv(BUFFER):
            server.sendall(data)
        server.shutdown(socket.SHUT_RDWR)
