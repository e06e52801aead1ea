"""Which providers can be called, as the workers report: they call the models.

A process that has no key itself may belong to an installation whose workers have one. Workers
publish the names of the providers that they have everything for, never a key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from tierline import providers
from tierline.base.errors import TierlineError
from tierline.storage.features import provider_keys


@dataclass(frozen=True)
class ProviderKeys:
    """What the workers have published."""

    workers: Sequence[frozenset[str]]  # for each worker, the providers that it has a key for

    def missing(self, provider: str) -> str | None:
        """What must be set before the provider can be used; None if nothing is missing.

        Where no worker runs, what this process lacks.
        """
        if not self.workers:
            return providers.configured(provider)
        without = sum(provider not in one for one in self.workers)
        if not without:
            return None
        own = providers.configured(provider) or f"what {provider} needs is not set"
        which = (
            "the worker" if len(self.workers) == 1 else f"{without} of {len(self.workers)} workers"
        )
        return f"{own}, in {which}"


NO_WORKER = ProviderKeys(())


def read_keys(connection: Connection[Any]) -> ProviderKeys:
    return ProviderKeys(provider_keys.published(connection))


def own_names() -> list[str]:
    """The providers that this process has all settings for."""
    names = []
    for name in providers.known_providers():
        try:
            if providers.configured(name) is None:
                names.append(name)
        except TierlineError:
            continue
    return names
