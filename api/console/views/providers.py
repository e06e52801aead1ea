"""Providers as the console shows them: which models are held, and what each provider lacks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from api.console.views.marks import Mark
from tierline.services.features.provider_keys import ProviderKeys
from tierline.services.reports.installation import Circuit
from tierline.views.features.models import Model

KEY, QUOTA = "key", "quota"
_ADVICE = {
    KEY: "The provider refuses the key. Set a valid one where the workers run, then probe.",
    QUOTA: "The quota or the credit is used up. Raise it at the provider, then probe.",
}


@dataclass(frozen=True)
class HeldModel:
    """A model that has failed before, and what it means now."""

    circuit: Circuit
    mark: Mark
    cause: str
    advice: str | None
    features: Sequence[str]  # that name it

    @property
    def held(self) -> bool:
        """Whether calls to it wait."""
        return self.circuit.open or self.circuit.paused_s > 0


@dataclass(frozen=True)
class ShownProvider:
    """A provider with its hosts and what it lacks."""

    name: str
    hosts: Sequence[str]
    missing: str | None
    models: Sequence[str]  # that features name

    @property
    def mark(self) -> Mark:
        if self.missing is None:
            return Mark("✓", "ready", "good")
        return Mark("✕", "not ready", "bad") if self.models else Mark("○", "not set up", "quiet")


def circuits_of(circuits: Iterable[Circuit], models: Iterable[Model]) -> list[HeldModel]:
    """The held models first, then those that answer again."""
    features = {model.model: model.features for model in models}
    held_models = [_held(one, features.get(one.model, [])) for one in circuits]
    return sorted(held_models, key=lambda one: (not one.held, one.circuit.model))


def _held(circuit: Circuit, features: Sequence[str]) -> HeldModel:
    cause = (circuit.cause or "").lower()
    if circuit.open:
        mark = Mark("✕", "held", "bad")
    elif circuit.paused_s > 0:
        mark = Mark("◷", "rate limited", "warn")
    else:
        mark = Mark("✓", "answers", "good")
    return HeldModel(circuit, mark, cause.replace("_", " "), _ADVICE.get(cause), features)


def providers_of(
    models: Iterable[Model], hosts: Mapping[str, Sequence[str]], keys: ProviderKeys
) -> list[ShownProvider]:
    """Each provider, those that features use first."""
    used: dict[str, list[str]] = {}
    for model in models:
        if model.model is not None and model.features:
            used.setdefault(model.model.partition(":")[0], []).append(model.model)
    providers = [
        ShownProvider(name, at, keys.missing(name), used.get(name, []))
        for name, at in hosts.items()
    ]
    return sorted(providers, key=lambda one: (not one.models, one.missing is not None, one.name))
