"""Where each provider is called, as the settings of this process say: hosts, never a path or key.

Workers call the providers, and their settings may differ from those of this process.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from tierline import providers
from tierline.base.network.model_urls import local_urls
from tierline.base.settings import Settings
from tierline.providers import vertex

IN_PROCESS = frozenset({"micro"})
"""Providers that run in the worker itself."""


def provider_hosts(settings: Settings) -> Mapping[str, Sequence[str]]:
    """Provider → the hosts that it is called at, with their ports; empty: no address is set."""
    return {
        name: list(dict.fromkeys(_host(url) for url in _urls(name, settings)))
        for name in providers.known_providers()
        if name not in IN_PROCESS
    }


def _urls(name: str, settings: Settings) -> list[str]:
    if name in settings.compatible:
        return [settings.compatible[name][0]]
    if name == "local":
        return [url for urls in local_urls(settings.local_url).values() for url in urls]
    if name == "vertex":
        own = settings.vertex_base_url
        return [own or f"https://{vertex.host(settings.google_cloud_location)}"]
    configured_url = {
        "anthropic": settings.anthropic_base_url,
        "azure": settings.azure_openai_endpoint,
        "gemini": settings.gemini_base_url,
        "llamacpp": settings.llamacpp_base_url,
        "mistral": settings.mistral_base_url,
        "ollama": settings.ollama_host,
        "openai": settings.openai_base_url,
        "vllm": settings.vllm_base_url,
    }.get(name)
    return [] if configured_url is None else [configured_url]


def _host(url: str) -> str:
    return urlsplit(url).netloc
