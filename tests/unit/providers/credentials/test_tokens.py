"""Access tokens: fetched once for all threads, renewed in time, from real HTTP token servers."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

from tests.support.fake_servers.model_server import ModelServer, Reply
from tests.support.waiting import DEADLINE_S
from tierline.base.settings import Settings
from tierline.features import ModelRef
from tierline.features.prompts import Message
from tierline.providers.azure import Azure
from tierline.providers.credentials.tokens import Token, Tokens
from tierline.providers.types import CallFailed, CompletionRequest
from tierline.providers.vertex import Vertex
from tierline.rules.causes import Cause

ANSWER = {"candidates": [{"content": {"parts": [{"text": "yes"}]}, "finishReason": "STOP"}]}


class TokenServer:
    """Gives numbered tokens, and remembers what it was asked with."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.status = 200
        self.holds_s: float = 3600
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                server.asked.append((self.path, form))
                answer = {"access_token": f"token-{len(server.asked)}", "token_type": "Bearer"}
                data: dict[str, Any] = {**answer, "expires_in": server.holds_s}
                if server.status != 200:
                    data = {"error": "invalid_client", "error_description": json.dumps(form)}
                content = json.dumps(data).encode()
                self.send_response(server.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def token_server() -> Iterator[TokenServer]:
    server = TokenServer()
    yield server
    server.stop()


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(lambda _: Reply(raw=json.dumps(ANSWER).encode())) as running:
        yield running


def request(provider: str, model: str) -> CompletionRequest:
    messages = [Message("user", "is it?")]
    return CompletionRequest(
        model=ModelRef(provider, model),
        messages=messages,
        max_tokens=5,
        temperature=0.0,
        timeout_s=10,
    )


def azure(server: ModelServer, token_server: TokenServer) -> Azure:
    return Azure(
        Settings(
            AZURE_OPENAI_ENDPOINT=server.url.removesuffix("/v1"),
            AZURE_TENANT_ID="my-tenant",
            AZURE_CLIENT_ID="my-application",
            AZURE_CLIENT_SECRET="hush-hush",
            AZURE_AUTHORITY_HOST=token_server.url,
        )
    )


def vertex(server: ModelServer, credentials: Path) -> Vertex:
    return Vertex(
        Settings(
            GOOGLE_CLOUD_PROJECT="my-project",
            GOOGLE_APPLICATION_CREDENTIALS=str(credentials),
            GOOGLE_VERTEX_BASE_URL=server.url.removesuffix("/v1"),
        )
    )


def test_of_many_threads_one_fetches() -> None:
    fetched: list[float] = []

    def fetch(timeout_s: float) -> Token:
        fetched.append(timeout_s)
        time.sleep(0.05)
        return Token(f"token-{len(fetched)}", 3600)

    tokens = Tokens(fetch)
    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(lambda _: tokens.get(5.0), range(16))) == {"token-1"}
    assert len(fetched) == 1


def test_while_one_renews_it_the_others_go_on_with_the_token_that_holds() -> None:
    renewing, go_on = threading.Event(), threading.Event()
    given = iter([Token("old", 60), Token("new", 3600)])

    def fetch(_: float) -> Token:
        token = next(given)
        if token.value == "new":
            renewing.set()
            assert go_on.wait(DEADLINE_S)
        return token

    tokens = Tokens(fetch)
    assert tokens.get(1.0) == "old"
    with ThreadPoolExecutor(1) as threads:
        renewed = threads.submit(tokens.get, 5.0)
        assert renewing.wait(DEADLINE_S)
        assert tokens.get(1.0) == "old"
        go_on.set()
        assert renewed.result(DEADLINE_S) == "new"
    assert tokens.get(1.0) == "new"


def test_a_token_that_holds_is_kept_when_it_cannot_be_renewed() -> None:
    given = iter([Token("old", 60)])

    def fetch(_: float) -> Token:
        try:
            return next(given)
        except StopIteration:
            raise CallFailed(Cause.UNREACHABLE, "no server") from None

    tokens = Tokens(fetch)
    assert [tokens.get(1.0) for _ in range(3)] == ["old"] * 3


def test_who_is_refused_is_not_asked_again_by_each_call() -> None:
    fetch_times: list[float] = []

    def fetch(timeout_s: float) -> Token:
        fetch_times.append(timeout_s)
        raise CallFailed(Cause.KEY, "refused")

    tokens = Tokens(fetch)
    for _ in range(5):
        with pytest.raises(CallFailed, match="refused"):
            tokens.get(1.0)
    assert len(fetch_times) == 1


def test_an_application_of_azure_gets_its_tokens_from_entra(
    server: ModelServer, token_server: TokenServer
) -> None:
    server.answer = lambda _: "yes"
    provider = azure(server, token_server)
    assert provider.missing() is None
    for _ in range(2):
        provider.complete(request("azure", "my-deployment"))
    assert [call.key for call in server.calls] == ["Bearer token-1"] * 2
    assert token_server.asked == [
        (
            "/my-tenant/oauth2/v2.0/token",
            {
                "grant_type": "client_credentials",
                "client_id": "my-application",
                "client_secret": "hush-hush",
                "scope": "https://cognitiveservices.azure.com/.default",
            },
        )
    ]


def test_a_token_that_the_provider_refuses_is_fetched_anew(
    server: ModelServer, token_server: TokenServer
) -> None:
    server.answer = lambda _: Reply(status=401)
    provider = azure(server, token_server)
    for _ in range(2):
        with pytest.raises(CallFailed) as refused:
            provider.complete(request("azure", "my-deployment"))
        assert refused.value.cause is Cause.KEY
    assert [call.key for call in server.calls] == ["Bearer token-1", "Bearer token-2"]


@pytest.mark.parametrize(
    ("status", "cause"), [(401, Cause.KEY), (400, Cause.KEY), (503, Cause.OVERLOADED)]
)
def test_credentials_that_entra_refuses_are_the_operators_to_mend(
    server: ModelServer, token_server: TokenServer, status: int, cause: Cause
) -> None:
    token_server.status = status
    with pytest.raises(CallFailed) as refused:
        azure(server, token_server).complete(request("azure", "my-deployment"))
    assert refused.value.cause is cause
    assert "hush" not in refused.value.reason
    assert not server.calls


def service_account(path: Path, token_uri: str) -> Any:
    """Writes a key file as Google hands one out; the public half."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    document = {
        "type": "service_account",
        "client_email": "worker@my-project.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": private.decode(),
        "token_uri": token_uri,
    }
    path.write_text(json.dumps(document))
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def test_a_service_account_of_google_gets_its_tokens_by_a_signed_assertion(
    server: ModelServer, token_server: TokenServer, tmp_path: Path
) -> None:
    public = service_account(tmp_path / "key.json", f"{token_server.url}/token")
    provider = vertex(server, tmp_path / "key.json")
    assert provider.missing() is None
    for _ in range(2):
        provider.complete(request("vertex", "gemini-2.5-flash"))
    assert [call.key for call in server.calls] == ["Bearer token-1"] * 2
    [(path, form)] = token_server.asked
    assert path == "/token"
    claims = jwt.decode(form["assertion"], certs=public, verify=False)
    assert claims["iss"] == "worker@my-project.iam.gserviceaccount.com"
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"


@pytest.mark.parametrize("text", ["", "{}", '{"type": "service_account"}', "no json"])
def test_a_file_that_holds_no_credentials_is_said_and_not_quoted(
    server: ModelServer, tmp_path: Path, text: str
) -> None:
    (tmp_path / "key.json").write_text(text)
    with pytest.raises(CallFailed) as failed:
        vertex(server, tmp_path / "key.json").complete(request("vertex", "gemini-2.5-flash"))
    assert failed.value.cause in {Cause.NOT_CONFIGURED, Cause.KEY}
    assert str(tmp_path) not in failed.value.reason


def test_google_that_refuses_the_credentials_is_the_operators_to_mend(
    server: ModelServer, token_server: TokenServer, tmp_path: Path
) -> None:
    service_account(tmp_path / "key.json", f"{token_server.url}/token")
    token_server.status = 400
    with pytest.raises(CallFailed) as refused:
        vertex(server, tmp_path / "key.json").complete(request("vertex", "gemini-2.5-flash"))
    assert refused.value.cause is Cause.KEY


def test_without_credentials_vertex_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    missing = Vertex(Settings(GOOGLE_CLOUD_PROJECT="my-project")).missing()
    assert missing == (
        "neither GOOGLE_APPLICATION_CREDENTIALS nor GOOGLE_OAUTH_ACCESS_TOKEN is set"
    )
    nowhere = Settings(
        GOOGLE_CLOUD_PROJECT="my-project", GOOGLE_APPLICATION_CREDENTIALS=str(tmp_path / "none")
    )
    assert Vertex(nowhere).missing() == (
        "GOOGLE_APPLICATION_CREDENTIALS does not name an existing file"
    )
