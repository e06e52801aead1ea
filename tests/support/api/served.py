"""A real API process's insides on loopback, and a client that holds every answer to the OpenAPI."""

import contextlib
import functools
import json
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs

from api.app import create_app, create_routes
from api.health.metrics import Metrics
from api.http.server import Server, configured
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.settings import settings


@contextlib.contextmanager
def serving(listener: socket.socket | None = None) -> Iterator[str]:
    """The address of an API on the settings of this process, for as long as the block lasts.
    `listener`: where it listens, for settings that must name the address before it runs."""
    app = create_app()
    server = Server(configured(app, "127.0.0.1", 0), app.stop)
    thread = threading.Thread(
        target=server.run, args=(None if listener is None else [listener],), name="api"
    )
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive(), DEADLINE_S, "the API")
        assert server.started
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(DEADLINE_S)


class Api:
    """Sends requests with one key; each answer must be one that the OpenAPI document tells of."""

    def __init__(self, url: str, key: str | None, contract: "Contract | None" = None) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.http = httpx.Client(
            base_url=url,
            headers=headers,
            timeout=DEADLINE_S,
            trust_env=False,
            verify=False,  # plain HTTP on loopback: reading certificates would take 0.1 s a client
        )
        self.url = url
        self._contract = contract or whole_contract()

    @property
    def document(self) -> dict[str, Any]:
        """The OpenAPI document."""
        return self._contract.document

    def as_(self, key: str | None) -> "Api":
        """A client with another key, or none."""
        return Api(self.url, key, self._contract)

    def close(self) -> None:
        self.http.close()

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.send("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.send("POST", path, **more)

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        response = self.http.request(method, path, **more)
        self._contract.check(response)
        return response

    def submit(self, text: str = "hello", **more: Any) -> dict[str, Any]:
        """A job of the feature `echo`; its JSON."""
        response = self.post("/v1/jobs", json={"feature": "echo", "input": {"text": text}, **more})
        assert response.status_code == 202, response.text
        job: dict[str, Any] = response.json()
        return job


class Contract:
    """An OpenAPI document that answers are held against."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._paths = [
            (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), path) for path in document["paths"]
        ]
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}

    def check(self, response: httpx.Response) -> None:
        """Raises AssertionError for an answer that the document does not describe."""
        request = response.request
        operation = self.operation(request.method, request.url.path)
        if operation is None:
            assert response.status_code in (404, 405), f"{request.method} {request.url.path}"
            self._fits({"$ref": "#/components/schemas/Problem"}, response.json())
            return
        status = str(response.status_code)
        documented = operation["responses"].get(status)
        assert documented is not None, (
            f"{request.method} {request.url.path}: {status} {response.text}"
        )
        content = documented.get("content", {})
        if not content:
            assert not response.content
            return
        kind = response.headers["content-type"].partition(";")[0]
        assert kind in content, f"{request.url.path} {status}: {kind}"
        if kind.endswith(("/json", "+json")):
            self._fits(content[kind]["schema"], response.json())
        for name, header in documented.get("headers", {}).items():
            assert not header.get("required") or name in response.headers

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        exact = self.document["paths"].get(path)
        if exact is None:
            exact = next(
                (
                    self.document["paths"][name]
                    for form, name in self._paths
                    if form.fullmatch(path)
                ),
                {},
            )
        operation: dict[str, Any] | None = exact.get(method.lower())
        return operation

    def _fits(self, schema: dict[str, Any], value: Any) -> None:
        validator = self._validator(schema)
        if not validator.is_valid(value):
            errors = list(validator.iter_errors(value))
            raise AssertionError(
                [f"{list(error.instance_path)}: {error.message}" for error in errors]
            )

    def _validator(self, schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
        """One that is kept: with all the components, each takes 2.5 ms to make."""
        name = json.dumps(schema, sort_keys=True)
        if name not in self._validators:
            whole = {**schema, "components": self.document["components"]}
            self._validators[name] = jsonschema_rs.Draft202012Validator(whole)
        return self._validators[name]


@functools.cache
def whole_contract() -> Contract:
    """What every API of this code promises.

    The document depends on no setting, so that it is made once for all tests of a process.
    document/test_openapi.py holds the one that is served against it.
    """
    document = create_routes(settings(), Metrics()).openapi()
    return Contract(json.loads(json.dumps(document)))
