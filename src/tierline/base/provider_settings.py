"""The settings of model providers, under the names that each vendor's own client uses.

An empty value counts as unset, because compose files pass empty values. No message repeats a value,
since it may be a key.
"""

import os
import re
from collections.abc import Mapping
from functools import cached_property
from typing import get_args

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

from tierline.base import digits
from tierline.base.network.model_urls import check_model_url, local_urls, named_urls

KEYS = (
    "openai_api_key",
    "azure_openai_api_key",
    "azure_openai_ad_token",
    "azure_client_secret",
    "anthropic_api_key",
    "gemini_api_key",
    "google_api_key",
    "google_access_token",
    "mistral_api_key",
    "vllm_api_key",
    "llamacpp_api_key",
    "ollama_api_key",
    "local_api_key",
)
KEYS_OF = {
    "azure": ("azure_openai_api_key", "azure_openai_ad_token"),
    "gemini": ("gemini_api_key", "google_api_key"),
    "vertex": ("google_access_token",),
}
"""Providers whose key has another name than the usual one."""
URLS = (
    "openai_base_url",
    "azure_openai_endpoint",
    "azure_authority_host",
    "anthropic_base_url",
    "gemini_base_url",
    "vertex_base_url",
    "mistral_base_url",
    "vllm_base_url",
    "llamacpp_base_url",
)
NAMES = (
    "openai_org_id",
    "openai_project_id",
    "openai_api_version",
    "azure_tenant_id",
    "azure_client_id",
    "google_cloud_project",
)
SENDABLE = re.compile(r"[!-~]+")  # the characters that an HTTP header may contain
NAME = re.compile(r"[A-Za-z0-9._:-]{1,200}")


class ProviderSettings(BaseSettings):
    openai_api_key: SecretStr | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    openai_base_url: str = Field(
        default="https://api.openai.com/v1", validation_alias="OPENAI_BASE_URL"
    )
    openai_org_id: str | None = Field(default=None, validation_alias="OPENAI_ORG_ID")
    openai_project_id: str | None = Field(default=None, validation_alias="OPENAI_PROJECT_ID")

    azure_openai_endpoint: str | None = Field(
        default=None, validation_alias="AZURE_OPENAI_ENDPOINT"
    )
    azure_openai_api_key: SecretStr | None = Field(
        default=None, validation_alias="AZURE_OPENAI_API_KEY"
    )
    azure_openai_ad_token: SecretStr | None = Field(  # an Entra ID token, instead of a key
        default=None, validation_alias="AZURE_OPENAI_AD_TOKEN"
    )
    azure_tenant_id: str | None = Field(default=None, validation_alias="AZURE_TENANT_ID")
    azure_client_id: str | None = Field(default=None, validation_alias="AZURE_CLIENT_ID")
    azure_client_secret: SecretStr | None = Field(  # an application's secret, to fetch tokens with
        default=None, validation_alias="AZURE_CLIENT_SECRET"
    )
    azure_authority_host: str = Field(
        default="https://login.microsoftonline.com", validation_alias="AZURE_AUTHORITY_HOST"
    )
    openai_api_version: str | None = Field(  # unset: the v1 API, which has no versions
        default=None, validation_alias="OPENAI_API_VERSION"
    )

    anthropic_api_key: SecretStr | None = Field(default=None, validation_alias="ANTHROPIC_API_KEY")
    anthropic_base_url: str = Field(
        default="https://api.anthropic.com", validation_alias="ANTHROPIC_BASE_URL"
    )

    gemini_api_key: SecretStr | None = Field(default=None, validation_alias="GEMINI_API_KEY")
    google_api_key: SecretStr | None = Field(default=None, validation_alias="GOOGLE_API_KEY")
    gemini_base_url: str = Field(
        default="https://generativelanguage.googleapis.com",
        validation_alias="GOOGLE_GEMINI_BASE_URL",
    )
    google_cloud_project: str | None = Field(default=None, validation_alias="GOOGLE_CLOUD_PROJECT")
    google_cloud_location: str = Field(
        default="global", validation_alias="GOOGLE_CLOUD_LOCATION", pattern=r"^[a-z0-9-]{1,40}$"
    )
    # from `gcloud auth print-access-token`; valid for an hour
    google_access_token: SecretStr | None = Field(
        default=None, validation_alias="GOOGLE_OAUTH_ACCESS_TOKEN"
    )
    google_application_credentials: str | None = Field(  # path of a file
        default=None, validation_alias="GOOGLE_APPLICATION_CREDENTIALS"
    )
    vertex_base_url: str | None = Field(  # unset: the location's own host
        default=None, validation_alias="GOOGLE_VERTEX_BASE_URL"
    )

    mistral_api_key: SecretStr | None = Field(default=None, validation_alias="MISTRAL_API_KEY")
    mistral_base_url: str = Field(
        default="https://api.mistral.ai/v1", validation_alias="MISTRAL_BASE_URL"
    )

    ollama_host: str | None = Field(default=None, validation_alias="OLLAMA_HOST")
    ollama_api_key: SecretStr | None = Field(default=None, validation_alias="OLLAMA_API_KEY")
    vllm_base_url: str | None = Field(default=None, validation_alias="VLLM_BASE_URL")
    vllm_api_key: SecretStr | None = Field(default=None, validation_alias="VLLM_API_KEY")
    llamacpp_base_url: str | None = Field(default=None, validation_alias="LLAMACPP_BASE_URL")
    llamacpp_api_key: SecretStr | None = Field(default=None, validation_alias="LLAMA_API_KEY")
    # TIERLINE_OPENAI_COMPATIBLE: name=url, separated by commas; the key of `name` is NAME_API_KEY
    openai_compatible: str | None = None

    local_url: str | None = None  # TIERLINE_LOCAL_URL: local llama.cpp servers, up to /v1
    local_api_key: SecretStr | None = None  # TIERLINE_LOCAL_API_KEY
    max_answer_bytes: int = 4 * 1024 * 1024  # a longer response of a model server is an error

    @field_validator("*", mode="before")
    @classmethod
    def _ascii(cls, value: object, info: ValidationInfo) -> object:
        """Numbers in ASCII digits only: pydantic would accept 1_000 and surrounding spaces."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        kinds = {annotation, *get_args(annotation)} & {int, float}
        if kinds and isinstance(value, str) and value:
            return digits.number(value) if float in kinds else digits.whole(value)
        return value

    @field_validator(*KEYS, mode="after")
    @classmethod
    def _sendable(cls, value: SecretStr | None) -> SecretStr | None:
        return checked_key(value)

    @field_validator(*URLS)
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        return None if value is None else check_model_url(value)

    @field_validator(
        "azure_openai_endpoint",
        "vertex_base_url",
        "vllm_base_url",
        "llamacpp_base_url",
        "ollama_host",
        "google_cloud_project",
        "google_application_credentials",
        "openai_org_id",
        "openai_project_id",
        "openai_api_version",
        "azure_tenant_id",
        "azure_client_id",
        mode="before",
    )
    @classmethod
    def _none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator(*NAMES)
    @classmethod
    def _name(cls, value: str | None) -> str | None:
        if value is not None and not NAME.fullmatch(value):
            raise ValueError("has letters, digits and . _ : - only")
        return value

    @field_validator("ollama_host")
    @classmethod
    def _as_url(cls, value: str | None) -> str | None:
        """Ollama's own client accepts host:port as well as a URL."""
        if value is None:
            return None
        return check_model_url(value if "://" in value else f"http://{value}")

    @field_validator("local_url")
    @classmethod
    def _plain_each(cls, value: str | None) -> str | None:
        local_urls(value)
        return value

    @field_validator("openai_compatible")
    @classmethod
    def _named_each(cls, value: str | None) -> str | None:
        for name in named_urls(value):
            try:
                checked_key(_key_of(name))
            except ValueError as error:
                raise ValueError(f"{key_variable(name)} {error}") from None
        return value

    def key_of(self, provider: str) -> SecretStr | None:
        """The key for the provider of that name; None if it has none."""
        if provider in self.compatible:
            return self.compatible[provider][1]
        names = KEYS_OF.get(provider, (f"{provider}_api_key",))
        return next((key for name in names if (key := getattr(self, name, None))), None)

    @cached_property
    def compatible(self) -> Mapping[str, tuple[str, SecretStr | None]]:
        """The servers in TIERLINE_OPENAI_COMPATIBLE: name → base URL and key."""
        return {
            name: (url, checked_key(_key_of(name)))
            for name, url in named_urls(self.openai_compatible).items()
        }


def checked_key(value: SecretStr | None) -> SecretStr | None:
    """The key; None if empty. Raises ValueError, without the key, if it cannot be sent."""
    if value is None or not value.get_secret_value():
        return None
    if not SENDABLE.fullmatch(value.get_secret_value()):
        raise ValueError(
            "contains a line break, a space or another character that keys do not have; copy it "
            "again"
        )
    return value


def key_variable(name: str) -> str:
    """The environment variable with the key of a server in TIERLINE_OPENAI_COMPATIBLE."""
    return f"{name.upper().replace('-', '_')}_API_KEY"


def _key_of(name: str) -> SecretStr | None:
    key = os.environ.get(key_variable(name))
    return None if key is None else SecretStr(key)
