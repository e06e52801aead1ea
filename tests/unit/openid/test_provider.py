"""What an identity provider may say of itself, and which URLs are accepted."""

from typing import Any

import pytest

from tierline.openid.access import AccessRules
from tierline.openid.attempt import begin_attempt
from tierline.openid.provider import (
    OpenIdConfig,
    authorization_url,
    check_scopes,
    check_url,
    discovery_url,
    read_discovery,
)

ISSUER = "https://login.invalid/realm"
DOCUMENT: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": "https://login.invalid/authorize?tenant=7",
    "token_endpoint": "https://tokens.invalid/token",
    "jwks_uri": "https://login.invalid/keys",
}
CONFIG = OpenIdConfig(
    ISSUER,
    "tierline",
    "a secret",
    "https://tierline.invalid",
    "openid groups",
    AccessRules("a", {}, "b", {}),
    session_s=60,
    timeout_s=1,
)


def test_the_discovery_document_is_below_the_issuer() -> None:
    assert discovery_url(ISSUER) == f"{ISSUER}/.well-known/openid-configuration"
    assert discovery_url(ISSUER + "/") == f"{ISSUER}/.well-known/openid-configuration"


def test_a_query_of_the_authorization_endpoint_is_kept() -> None:
    attempt = begin_attempt(b"key", 0, "/console")
    url = authorization_url(CONFIG, read_discovery(DOCUMENT, ISSUER), attempt)
    assert url.startswith("https://login.invalid/authorize?tenant=7&response_type=code&")
    assert "scope=openid+groups" in url
    assert "redirect_uri=https%3A%2F%2Ftierline.invalid%2Fconsole%2Fsign-in%2Fcallback" in url


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"issuer": ISSUER + "/"}, "another issuer"),
        ({"issuer": None}, "another issuer"),
        ({"token_endpoint": None}, "no token_endpoint"),
        ({"jwks_uri": 7}, "no jwks_uri"),
        ({"jwks_uri": "http://login.invalid/keys"}, "https://"),
        ({"token_endpoint": "http://127.0.0.1/token"}, "as the issuer does"),
        ({"token_endpoint": "https://u:p@login.invalid/token"}, "user name"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "https://"),
        ({"authorization_endpoint": "https://login.invalid/?a\r\nb"}, "is not a URL"),
        ({"authorization_endpoint": "https://login.invalid/?a#b"}, "is not a URL"),
        ({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}, "no client secret"),
    ],
    ids=str,
)
def test_a_document_that_does_not_fit_is_refused(more: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        read_discovery(DOCUMENT | more, ISSUER)


@pytest.mark.parametrize(
    "url",
    [
        "https://login.invalid",
        "https://login.invalid:8443/realms/a",
        "http://127.0.0.1:8080",
        "http://localhost:9000/x",
        "http://[::1]:9000",
    ],
)
def test_urls_are_https_except_on_loopback(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    ["http://login.invalid", "login.invalid", "https://", "ftp://login.invalid", "https://a b",
     "https://[x", "https://a:port", "https://u@login.invalid", "https://login.invalid?a=b",
     "https://login.invalid#a", "https://lögin.invalid", "http://127.0.0.1.evil.invalid",
     "http://localhost.evil.invalid", "https://a/" + "x" * 2000],
)  # fmt: skip
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|is not"):
        check_url(url)


def test_scopes_have_spaces_between_them_and_openid_among_them() -> None:
    assert check_scopes("groups  openid") == "groups openid"
    for wrong in ("", "profile", "openid,profile", 'openid "x"', "openid é"):
        with pytest.raises(ValueError, match="scope"):
            check_scopes(wrong)
