"""Families of models as values, read from the TOML files beside this one."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

Class = Literal["micro", "small", "mid", "frontier"]
"""What a model is, as its maker presents it: a fact of its own that no price decides."""

CLASSES: tuple[Class, ...] = ("micro", "small", "mid", "frontier")

FOLDER = Path(__file__).parent
FILES = ("openai", "anthropic", "google", "mistral", "open_weights")

MARKET: Mapping[Class, str] = {
    "frontier": "$2-30",
    "mid": "$0.50-3",
    "small": "$0.10-0.50",
    "micro": "under $0.10",
}
"""The market's usual bands in USD per million tokens. Real prices stand beside them and may leave
them."""


@dataclass(frozen=True)
class Sold:
    """One exact id at one provider. None: not known."""

    provider: str
    id: str
    aliases: tuple[str, ...] = ()  # other ids that the provider answers to with the same model
    released: date | None = None
    retires: date | None = None  # the announced day of its end
    not_before: date | None = None  # retirement is not announced, but not sooner than this day
    successor: str | None = None  # provider:id that the provider recommends in its place
    context_tokens: int | None = (
        None  # prompt and answer together, unless the provider counts apart
    )
    output_tokens: int | None = None
    structured_output: bool | None = None  # answers are held to a JSON Schema
    logprobs: bool | None = None
    temperature: bool | None = None  # takes another one than its own
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
    sold: tuple[Sold, ...] = ()  # empty: under this name it is not sold
    nearest: str | None = None  # provider:id of its closest relative, where it is not sold itself
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
    found: Mapping[str, Mapping[str, Any]] = tomllib.loads(
        (FOLDER / "sources.toml").read_text(encoding="utf-8")
    )
    return found


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
