"""The settings of sign-in by OpenID Connect: all or none, and none is repeated."""

import pytest

from tests.support.settings import refused
from tierline.base.errors import UsageError
from tierline.base.settings import Settings

GIVEN = {
    "ISSUER": "https://login.invalid",
    "CLIENT_ID": "tierline",
    "CLIENT_SECRET": "sentinel",
    "BASE_URL": "https://tierline.invalid/",
    "ACCOUNT_CLAIM": "department",
    "ACCOUNTS": '{"CN=Shop, O=x": "shop"}',
    "ROLE_CLAIM": "groups",
    "ROLES": '{"ops": "operator"}',
}


def configured(monkeypatch: pytest.MonkeyPatch, **more: str) -> Settings:
    for name, value in (GIVEN | more).items():
        monkeypatch.setenv(f"TIERLINE_OIDC_{name}", value)
    return Settings()


def test_all_of_them_configure_it(monkeypatch: pytest.MonkeyPatch) -> None:
    openid = configured(monkeypatch).openid
    assert openid is not None
    assert openid.redirect_uri == "https://tierline.invalid/console/sign-in/callback"
    assert openid.rules.accounts == {"CN=Shop, O=x": "shop"}
    assert (openid.scopes, openid.session_s) == ("openid profile email", 43_200)
    assert "sentinel" not in repr(openid)


def test_none_of_them_or_empty_ones_configure_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().openid is None
    assert configured(monkeypatch, **dict.fromkeys(GIVEN, "")).openid is None


def test_the_port_that_browsers_leave_out_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    openid = configured(monkeypatch, BASE_URL="https://tierline.invalid:443").openid
    assert openid is not None
    assert openid.base_url == "https://tierline.invalid"


@pytest.mark.parametrize("name", GIVEN)
def test_a_missing_one_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(UsageError, match=f"needs TIERLINE_OIDC_{name} too") as raised:
        _ = configured(monkeypatch, **{name: ""}).openid
    assert "sentinel" not in raised.value.message


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("ISSUER", "http://login.invalid/sentinel", "https://"),
        ("BASE_URL", "https://tierline.invalid/sentinel", "no path"),
        ("SCOPES", "sentinel", "openid"),
        ("ACCOUNTS", "sentinel", "not JSON"),
        ("ACCOUNTS", '["sentinel"]', "JSON object"),
        ("ACCOUNTS", '{"sentinel": 7}', "name for each value"),
        ("ROLES", '{"ops": "sentinel"}', "read, submit, admin, operator"),
        ("SESSION_S", "59", "greater than or equal to 60"),
        ("TIMEOUT_S", "31", "less than or equal to 30"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_without_repeating_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, text: str
) -> None:
    message = refused(monkeypatch, f"TIERLINE_OIDC_{name}", value).message
    assert message.startswith(f"settings: TIERLINE_OIDC_{name}: ")
    assert text in message
    assert "sentinel" not in message
