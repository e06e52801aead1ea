"""The llama.cpp servers that `up` runs: which models, on which ports, under which names.

One process a model, each with its own port and the run's key. Together they are one provider,
`local`, which finds the server of a model by TIERLINE_LOCAL_URL: a list `name=url,name=url`.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tierline.features.model import ModelRef
from tierline.stack import models
from tierline.stack.child import Program
from tierline.stack.llama_server import KEY_VARIABLE
from tierline.stack.models import LocalModel
from tierline.stack.ports import free_port


@dataclass(frozen=True)
class LocalServer:
    """One model, where it will answer, and the process that serves it."""

    model: LocalModel
    path: Path
    port: int
    key: str

    @property
    def name(self) -> str:
        return f"model-{self.model.name}"

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
            ],
            env={KEY_VARIABLE: self.key},
        )


def plan(names: set[str], key: str) -> tuple[list[LocalServer], list[str]]:
    """A server for each named model whose file is here, and a line for each that is not."""
    servers, missing = [], []
    for name in sorted(names):
        model = models.MODELS.get(name)
        if model is None:
            missing.append(f"local:{name} is not a model that tierline can run")
            continue
        try:
            servers.append(LocalServer(model, models.find(model), free_port(), key))
        except models.ModelMissing as error:
            missing.append(error.message)
    return servers, missing


def environment(servers: list[LocalServer], key: str) -> Mapping[str, str]:
    """What the workers read to find the servers."""
    if not servers:
        return {}
    return {
        "TIERLINE_LOCAL_URL": ",".join(f"{one.model.name}={one.url}" for one in servers),
        KEY_VARIABLE: key,
    }


def named_by_features(database_url: str) -> set[str]:
    """The local models that an applied feature names; none while the database does not answer."""
    import psycopg

    from tierline.storage import features
    from tierline.storage.engine import connect_args, psycopg_url

    parameters: dict[str, Any] = {**connect_args("up"), "autocommit": True}
    try:
        with psycopg.connect(psycopg_url(database_url), **parameters) as connection:
            documents = [one.document for one in features.current_versions(connection)]
    except psycopg.Error:
        return set()
    models_named = (
        ModelRef.parse(name)
        for document in documents
        for tier in document["tiers"]
        for name in tier["models"]
    )
    return {model.model for model in models_named if model.provider == "local"}
