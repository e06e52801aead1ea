"""The llama.cpp servers that `up` runs: models, ports and names.

A small model runs in several processes that share the cores. On two cores, 48 answers took 25 s
with two servers of one thread, and 35 s with one server of two threads, which wait for each other
at every layer. Each server has its own port; all have the run's key. Together they are one
provider, `local`, which reads a model's servers from TIERLINE_LOCAL_URL: `name=url,name=url`.
"""

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tierline.base.model_ref import ModelRef
from tierline.stack.llama_server import KEY_VARIABLE, cores
from tierline.stack.local_models import models
from tierline.stack.local_models.models import LocalModel
from tierline.stack.ports import free_port
from tierline.stack.processes import environment as environment_of
from tierline.stack.processes.child import Program

TRIED_S = 3600.0  # how long a model starts with `up` after a draft used it


@dataclass(frozen=True)
class LocalServer:
    """One process that serves a model, and its address."""

    model: LocalModel
    number: int  # from 1, among the model's servers
    path: Path
    port: int
    key: str
    slots: int
    threads: int

    @property
    def name(self) -> str:
        return f"model-{self.model.name}" + (f"-{self.number}" if self.number > 1 else "")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def program(self) -> Program:
        return Program(
            self.name,
            [
                *[sys.executable, "-m", "tierline.stack.llama_server"],
                *["--alias", self.model.name, "--model", str(self.path)],
                *["--port", str(self.port)],
                *["--slots", str(self.slots), "--threads", str(self.threads)],
            ],
            env={**environment_of.base(), KEY_VARIABLE: self.key},
        )


def shares(model: LocalModel, threads: int) -> list[tuple[int, int]]:
    """(slots, threads) of each of the model's servers, for this many threads in total."""
    servers = min(model.servers, model.slots, threads)
    return [
        (_share(model.slots, servers, index), _share(threads, servers, index))
        for index in range(servers)
    ]


def _share(whole: int, parts: int, index: int) -> int:
    return whole // parts + (index < whole % parts)


def plan(names: set[str], key: str) -> tuple[list[LocalServer], list[str]]:
    """The servers of each named model whose file exists, and a line for each other one."""
    servers, missing = [], []
    for name in sorted(names):
        model = models.MODELS.get(name)
        if model is None:
            missing.append(f"local:{name} is not a model that tierline can run")
            continue
        try:
            path = models.find(model)
        except models.ModelMissing as error:
            missing.append(error.message)
            continue
        for number, (slots, threads) in enumerate(shares(model, cores()), start=1):
            servers.append(LocalServer(model, number, path, free_port(), key, slots, threads))
    return servers, missing


def environment(servers: list[LocalServer], key: str) -> Mapping[str, str]:
    """The environment variables by which workers find the servers."""
    if not servers:
        return {}
    return {
        "TIERLINE_LOCAL_URL": ",".join(f"{one.model.name}={one.url}" for one in servers),
        KEY_VARIABLE: key,
    }


def named_by_features(database_url: str) -> set[str]:
    """The local models in features, applied or recently tried. Empty if the database does not
    answer.
    """
    import psycopg

    from tierline.storage.db.engine import connect
    from tierline.storage.features import features

    try:
        with connect(database_url, "up") as connection:
            documents = [one.document for one in features.current_versions(connection)]
            documents += features.draft_documents(connection, TRIED_S)
    except psycopg.Error:
        return set()
    names: set[str] = set()
    for document in documents:
        with suppress(KeyError, TypeError, ValueError):  # from a later release
            named = [ModelRef.parse(name) for tier in document["tiers"] for name in tier["models"]]
            names |= {model.model for model in named if model.provider == "local"}
    return names
