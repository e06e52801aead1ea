"""HTTP with an identity provider on loopback: what is kept, and what goes wrong."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.support.fake_servers.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    HTML,
    IdentityProvider,
    identity_provider,
)
from tierline.openid.access import AccessRules
from tierline.openid.attempt import begin_attempt, signing_key
from tierline.openid.provider import OpenIdConfig
from tierline.openid.refusals import InvalidToken, ProviderFailed, SignInRefused
from tierline.services.accounts import identity_provider as service

BASE_URL = "https://tierline.invalid"


@pytest.fixture(scope="module")
def running() -> Iterator[IdentityProvider]:
    with identity_provider() as running:
        yield running


@pytest.fixture
def provider(running: IdentityProvider) -> Iterator[IdentityProvider]:
    running.claims = {"sub": "kim"}
    running.redirect_uris = {f"{BASE_URL}/console/sign-in/callback"}
    running.paths.clear()
    yield running
    running.behave()


@pytest.fixture
def client(provider: IdentityProvider) -> Iterator[service.IdentityProvider]:
    client = service.IdentityProvider(config(provider.issuer))
    yield client
    client.close()


def config(issuer: str) -> OpenIdConfig:
    rules = AccessRules("a", {}, "b", {})
    return OpenIdConfig(
        issuer, CLIENT_ID, CLIENT_SECRET, BASE_URL, "openid", rules, session_s=60, timeout_s=2
    )


def sign_in(client: service.IdentityProvider, provider: IdentityProvider) -> Any:
    """The claims of a person who went to the provider and came back."""
    attempt = begin_attempt(signing_key(CLIENT_SECRET), 0, "/console")
    url = urlsplit(client.authorization_url(attempt))
    back = dict(parse_qsl(urlsplit(provider.authorize(dict(parse_qsl(url.query)))).query))
    assert back["state"] == attempt.state
    return client.redeem(attempt, back["code"], back["iss"])


def test_addresses_and_keys_are_asked_for_once(
    client: service.IdentityProvider, provider: IdentityProvider
) -> None:
    for _ in range(3):
        assert sign_in(client, provider)["sub"] == "kim"
    assert provider.paths.count("/.well-known/openid-configuration") == 1
    assert provider.paths.count("/keys") == 1


def test_the_secret_goes_into_the_form_where_the_provider_takes_no_header(
    client: service.IdentityProvider, provider: IdentityProvider
) -> None:
    provider.secret_in_form = True
    assert sign_in(client, provider)["sub"] == "kim"


@pytest.mark.parametrize("kid", ["another", "rsa"])
def test_a_changed_key_is_read_anew_also_under_the_same_id(
    client: service.IdentityProvider, provider: IdentityProvider, kid: str
) -> None:
    sign_in(client, provider)
    provider.new_key(kid)
    assert sign_in(client, provider)["sub"] == "kim"


def test_wrong_tokens_cause_a_few_reads_of_keys_only(
    client: service.IdentityProvider, provider: IdentityProvider
) -> None:
    sign_in(client, provider)
    provider.published = provider.keys()
    provider.new_key("unpublished")
    provider.paths.clear()
    for _ in range(service.KEY_LOOKS + 3):
        with pytest.raises(InvalidToken, match="wrong_signature"):
            sign_in(client, provider)
    assert provider.paths.count("/keys") == service.KEY_LOOKS


def test_a_wrong_client_secret_is_told_without_it(provider: IdentityProvider) -> None:
    wrong = replace(config(provider.issuer), client_secret="sentinel")
    client = service.IdentityProvider(wrong)
    with pytest.raises(ProviderFailed) as failed:
        sign_in(client, provider)
    client.close()
    assert "status 401" in failed.value.text
    assert "sentinel" not in failed.value.text + repr(wrong)


DISCOVERY = "/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("path", "answer", "text"),
    [
        (DISCOVERY, HTML, "not a JSON object"),
        (
            DISCOVERY,
            (200, "application/json", b'{"issuer": "https://evil.invalid"}'),
            "another issuer",
        ),
        (DISCOVERY, (404, "application/json", b"{}"), "status 404"),
        (DISCOVERY, (200, "application/json", b" " * 300_000), "too long"),
        ("/keys", HTML, "not a JSON object"),
        ("/keys", (200, "application/json", b'{"keys": 7}'), "no JWK Set"),
        ("/keys", (500, "text/plain", b""), "status 500"),
    ],
    ids=str,
)
def test_a_provider_that_does_not_answer_as_one_is_told(
    client: service.IdentityProvider,
    provider: IdentityProvider,
    path: str,
    answer: tuple[int, str, bytes],
    text: str,
) -> None:
    provider.answers[path] = answer
    with pytest.raises(ProviderFailed) as failed:
        sign_in(client, provider)
    assert text in failed.value.text
    assert "API key" in failed.value.text
    provider.answers.clear()
    assert sign_in(client, provider)["sub"] == "kim", "a failure is not kept"


def test_a_provider_that_is_down_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        issuer = f"http://127.0.0.1:{closed.getsockname()[1]}"
    client = service.IdentityProvider(config(issuer))
    attempt = begin_attempt(signing_key(CLIENT_SECRET), 0, "/console")
    with pytest.raises(ProviderFailed) as failed:
        client.authorization_url(attempt)
    client.close()
    assert "cannot be reached" in failed.value.text


def test_what_is_kept_serves_while_the_provider_does_not_answer(
    client: service.IdentityProvider,
    provider: IdentityProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sign_in(client, provider)
    monkeypatch.setattr(service, "KEEP_S", 0.0)
    provider.answers[DISCOVERY] = HTML
    asked = provider.paths.count(DISCOVERY)
    for _ in range(2):
        assert sign_in(client, provider)["sub"] == "kim"
    assert provider.paths.count(DISCOVERY) == asked + 1, "it may hang: once a minute is enough"
    monkeypatch.setattr(service, "KEEP_WITHOUT_ANSWER_S", 0.0)
    with pytest.raises(ProviderFailed):
        sign_in(client, provider)


def test_a_code_that_was_used_is_refused(
    client: service.IdentityProvider, provider: IdentityProvider
) -> None:
    with pytest.raises(SignInRefused, match="code_refused"):
        client.redeem(begin_attempt(b"key", 0, "/console"), "used", provider.issuer)


@pytest.mark.parametrize("issuer", ["https://evil.invalid", None])
def test_an_answer_of_another_issuer_is_refused_before_its_code_is_sent(
    client: service.IdentityProvider, provider: IdentityProvider, issuer: str | None
) -> None:
    with pytest.raises(SignInRefused, match="wrong_issuer"):
        client.redeem(begin_attempt(b"key", 0, "/console"), "code", issuer)
    assert "/token" not in provider.paths
