"""The model providers, by the name before the colon in `provider:model`.

A new provider is a file here and a line in PROVIDERS.
"""

import threading
from collections.abc import Callable, Mapping

from tierline.base.errors import UsageError
from tierline.base.settings import Settings, settings
from tierline.features import ModelRef
from tierline.providers.anthropic import Anthropic
from tierline.providers.azure import Azure
from tierline.providers.gemini import Gemini
from tierline.providers.local import Local
from tierline.providers.micro import Micro
from tierline.providers.mistral import Mistral
from tierline.providers.ollama import Ollama
from tierline.providers.openai import OpenAI
from tierline.providers.self_hosted import llama_cpp, named, vllm
from tierline.providers.types import Capabilities, Completion, CompletionRequest, Provider
from tierline.providers.vertex import Vertex

PROVIDERS: Mapping[str, Callable[[Settings], Provider]] = {
    "anthropic": Anthropic,
    "azure": Azure,
    "gemini": Gemini,
    "llamacpp": llama_cpp,
    "local": Local,
    "micro": Micro,
    "mistral": Mistral,
    "ollama": Ollama,
    "openai": OpenAI,
    "vertex": Vertex,
    "vllm": vllm,
}

_instances: dict[str, Provider] = {}
_lock = threading.Lock()


def known_providers() -> tuple[str, ...]:
    """The providers' names, including the operator's own servers."""
    return tuple(_all())


def provider(name: str) -> Provider:
    """The provider of that name, shared by all threads. Raises UsageError for an unknown one."""
    with _lock:
        instance = _instances.get(name)
        if instance is None:
            makers = _all()
            if name not in makers:
                names = ", ".join(makers)
                raise UsageError(f"there is no provider {name!r}: choose from {names}")
            instance = _instances[name] = makers[name](settings())
        return instance


def _all() -> Mapping[str, Callable[[Settings], Provider]]:
    own_servers = named(settings())
    reserved = ", ".join(own_servers.keys() & PROVIDERS.keys())
    if reserved:
        raise UsageError(f"settings: TIERLINE_OPENAI_COMPATIBLE: the name {reserved} is reserved")
    return {**PROVIDERS, **own_servers}


def capabilities(model: ModelRef) -> Capabilities:
    """What the model can do at its provider, as far as is known."""
    return provider(model.provider).capabilities(model.model)


def configured(name: str) -> str | None:
    """What must be set before the provider can be used; None if nothing is missing."""
    return provider(name).missing()


def close() -> None:
    """Close every connection; a later call opens new ones."""
    with _lock:
        for instance in _instances.values():
            instance.close()
        _instances.clear()


__all__ = [
    "Capabilities",
    "Completion",
    "CompletionRequest",
    "Provider",
    "capabilities",
    "close",
    "configured",
    "provider",
]
