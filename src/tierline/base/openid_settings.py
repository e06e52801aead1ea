"""The settings of sign-in to the console by OpenID Connect. Only the API reads them.

An empty value counts as unset, because compose files pass empty values. No message repeats a value.
"""

import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from tierline.base.errors import UsageError
from tierline.openid.access import ROLES, AccessRules
from tierline.openid.provider import OpenIdConfig, check_scopes, check_url

MOST_VALUES = 1000  # of a claim, in one setting


class OpenIdSettings(BaseSettings):
    # The identity provider's URL, as its discovery document and its tokens have it
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    # The console's address in browsers, such as https://tierline.example.com
    oidc_base_url: str | None = None
    oidc_scopes: str = "openid profile email"  # to ask for, with spaces between them
    # The claim that gives the account, and {"a value of it": "an account's name"}
    oidc_account_claim: str | None = None
    oidc_accounts: Annotated[Mapping[str, str], NoDecode] = Field(default_factory=dict)
    # The claim that gives the role, and {"a value of it": "read", "submit", "admin" or "operator"}
    oidc_role_claim: str | None = None
    oidc_roles: Annotated[Mapping[str, str], NoDecode] = Field(default_factory=dict)
    # a session's lifetime; the provider's changes to a person count from the next sign-in
    oidc_session_s: Annotated[float, Field(ge=60, le=86_400)] = 43_200.0
    oidc_timeout_s: Annotated[float, Field(ge=0.1, le=30)] = 5.0  # all requests of one sign-in
    # proxies before the API that append to X-Forwarded-For: an address has few sign-ins at once
    oidc_proxies: Annotated[int, Field(ge=0, le=10)] = 0

    @field_validator(
        "oidc_issuer",
        "oidc_client_id",
        "oidc_client_secret",
        "oidc_base_url",
        "oidc_account_claim",
        "oidc_role_claim",
        mode="before",
    )
    @classmethod
    def _unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer(cls, value: str | None) -> str | None:
        return None if value is None else check_url(value)

    @field_validator("oidc_base_url")
    @classmethod
    def _base_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        origin = check_url(value).rstrip("/")
        if origin.count("/") != 2:
            raise ValueError("must have no path: the console is always at /console")
        scheme, _, host = origin.partition("://")
        default = {"https": ":443", "http": ":80"}.get(scheme, "")
        return origin.removesuffix(default) if default and host.endswith(default) else origin

    @field_validator("oidc_scopes")
    @classmethod
    def _scopes(cls, value: str) -> str:
        return check_scopes(value)

    @field_validator("oidc_accounts", "oidc_roles", mode="before")
    @classmethod
    def _mapping(cls, value: object) -> object:
        return _parse_mapping(value) if isinstance(value, str) else value

    @field_validator("oidc_roles")
    @classmethod
    def _roles(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        if not ROLES.keys() >= set(value.values()):
            raise ValueError(f"may give the roles {', '.join(ROLES)} only")
        return value

    @property
    def openid(self) -> OpenIdConfig | None:
        """Sign-in by OpenID Connect; None: it is not configured. Raises UsageError if only some of
        its settings are there."""
        needed = {
            "ISSUER": self.oidc_issuer,
            "CLIENT_ID": self.oidc_client_id,
            "CLIENT_SECRET": self.oidc_client_secret,
            "BASE_URL": self.oidc_base_url,
            "ACCOUNT_CLAIM": self.oidc_account_claim,
            "ACCOUNTS": self.oidc_accounts,
            "ROLE_CLAIM": self.oidc_role_claim,
            "ROLES": self.oidc_roles,
        }
        missing = [f"TIERLINE_OIDC_{name}" for name, value in needed.items() if not value]
        if len(missing) == len(needed):
            return None
        if missing:
            raise UsageError(
                f"settings: sign-in by OpenID Connect needs {', '.join(missing)} too; or unset all"
                " TIERLINE_OIDC_ settings"
            )
        assert self.oidc_client_secret is not None, "it is not missing"
        return OpenIdConfig(
            issuer=self.oidc_issuer or "",
            client_id=self.oidc_client_id or "",
            client_secret=self.oidc_client_secret.get_secret_value(),
            base_url=self.oidc_base_url or "",
            scopes=self.oidc_scopes,
            rules=AccessRules(
                self.oidc_account_claim or "",
                self.oidc_accounts,
                self.oidc_role_claim or "",
                self.oidc_roles,
            ),
            session_s=self.oidc_session_s,
            timeout_s=self.oidc_timeout_s,
            proxies=self.oidc_proxies,
        )


def _parse_mapping(text: str) -> Mapping[str, str]:
    """A JSON object of texts. Raises ValueError, which repeats no value."""
    if not text.strip():
        return {}
    try:
        given = json.loads(text)
    except ValueError:
        raise ValueError('is not JSON such as {"a value": "a name"}') from None
    if not isinstance(given, dict) or len(given) > MOST_VALUES:
        raise ValueError(f"must be a JSON object of at most {MOST_VALUES} values of the claim")
    if not all(isinstance(one, str) and one for one in given.values()):
        raise ValueError('must give a name for each value, as in {"a value": "a name"}')
    return given
