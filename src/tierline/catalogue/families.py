"""Families of models as values, read from the TOML files in this folder."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

Class = Literal["micro", "small", "mid", "frontier"]
"""A model's class, as its maker presents it. It does not follow from a price."""

CLASSES: tuple[Class, ...] = ("micro", "small", "mid", "frontier")

FOLDER = Path(__file__).parent
FILES = ("openai", "anthropic", "google", "mistral", "open_weights")

MARKET: Mapping[Class, str] = {
    "frontier": "$2-30",
    "mid": "$0.50-3",
    "small": "$0.10-0.50",
    "micro": "under $0.10",
}
"""The market's usual price bands in USD per million tokens. A real price is shown beside its band
and may be outside it."""


@dataclass(frozen=True)
class Sold:
    """One exact id at one provider. None: unknown."""

    provider: str
    id: str
    aliases: tuple[str, ...] = ()  # other ids for the same model at the provider
    released: date | None = None
    retires: date | None = None  # the announced day of its end
    not_before: date | None = None  # no end is announced, but it is not before this day
    successor: str | None = None  # provider:id that the provider recommends instead
    context_tokens: int | None = (
        None  # input and output together, unless the provider counts separately
    )
    output_tokens: int | None = None
    structured_output: bool | None = None  # answers can be constrained by a JSON Schema
    logprobs: bool | None = None
    temperature: bool | None = None  # accepts the parameter
    reasoning: bool | None = None  # may think before it answers
    sources: Mapping[str, str] = field(default_factory=dict)  # group or fact → key of sources.toml

    @property
    def ref(self) -> str:
        return f"{self.provider}:{self.id}"

    def retired(self, today: date) -> bool:
        """Whether its announced end has come."""
        return self.retires is not None and self.retires <= today


@dataclass(frozen=True)
class Family:
    """A name that people use for a model, and the ids behind it."""

    name: str
    model_class: Class
    open_weights: bool
    sold: tuple[Sold, ...] = ()  # empty: not sold under this name
    nearest: str | None = None  # provider:id of the closest model, if it is not sold itself
    note: str | None = None
    self_hosted: Mapping[str, str] = field(default_factory=dict)  # server → the id there
    self_hosted_source: str | None = None


@cache
def families() -> tuple[Family, ...]:
    """All of them, in the files' order."""
    return tuple(_all())


@cache
def sources() -> Mapping[str, Mapping[str, Any]]:
    """Key → {url, read}: where facts were read, and on which day."""
    facts: Mapping[str, Mapping[str, Any]] = tomllib.loads(
        (FOLDER / "sources.toml").read_text(encoding="utf-8")
    )
    return facts


def sold_ids(provider: str) -> frozenset[str]:
    """Every id and alias of that provider."""
    return frozenset(
        one
        for family in families()
        for sold in family.sold
        if sold.provider == provider
        for one in (sold.id, *sold.aliases)
    )


def _all() -> Iterator[Family]:
    for name in FILES:
        text = (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
        for entry in tomllib.loads(text)["family"]:
            yield _family(entry)


def _family(entry: Mapping[str, Any]) -> Family:
    rest = dict(entry)
    sold = tuple(
        Sold(**{**one, "aliases": tuple(one.get("aliases", ()))}) for one in rest.pop("sold", ())
    )
    return Family(
        model_class=rest.pop("class"),
        open_weights=rest.pop("weights") == "open",
        sold=sold,
        **rest,
    )
