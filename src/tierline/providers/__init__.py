"""The model providers, by the name that stands before the colon in `provider:model`.

A new one is a file here and a line in PROVIDERS.
"""

import threading
from collections.abc import Callable, Mapping

from tierline.errors import UsageError
from tierline.providers.local import Local
from tierline.providers.openai_chat import OpenAIChat
from tierline.providers.types import Completion, CompletionRequest, Provider
from tierline.settings import Settings, settings

PROVIDERS: Mapping[str, Callable[[Settings], Provider]] = {
    "local": Local,
    "openai": OpenAIChat,
}

_made: dict[str, Provider] = {}
_lock = threading.Lock()


def known_providers() -> tuple[str, ...]:
    """Their names."""
    return tuple(PROVIDERS)


def provider(name: str) -> Provider:
    """The provider of that name, shared by all threads. Raises UsageError for an unknown one."""
    with _lock:
        found = _made.get(name)
        if found is None:
            if name not in PROVIDERS:
                known = ", ".join(PROVIDERS)
                raise UsageError(f"there is no provider {name!r}: choose from {known}")
            found = _made[name] = PROVIDERS[name](settings())
        return found


def configured(name: str) -> str | None:
    """What must be set before the provider can be used; None when nothing is missing."""
    return provider(name).missing()


def close() -> None:
    """Close every connection; a later call opens new ones."""
    with _lock:
        for made in _made.values():
            made.close()
        _made.clear()


__all__ = ["Completion", "CompletionRequest", "Provider", "close", "configured", "provider"]
