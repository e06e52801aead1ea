"""Looks a model up by its id or by its common name."""

from collections.abc import Mapping
from datetime import date
from functools import cache

from tierline.catalogue.families import Family, Sold, families

ALSO_AT: Mapping[str, str] = {"vertex": "gemini"}  # provider → the provider whose ids it uses


def find(provider: str, model: str) -> tuple[Family, Sold | None] | None:
    """The family of exactly this id, and its entry; None for an unknown id.

    The entry is None for a self-hosted model.
    """
    provider = ALSO_AT.get(provider, provider)
    return _by_id().get((provider, model)) or _self_hosted().get((provider, model))


def named(name: str) -> Family | None:
    """The family of that common name, in any case; None if unknown."""
    return _by_name().get(name.strip().lower())


def replacement(ref: str, today: date) -> str | None:
    """The model that replaces a retired one. It follows the successors to the first that is sold.

    `ref` is provider:id. None if there is no known successor.
    """
    seen = {ref}
    while True:
        provider, _, model = ref.partition(":")
        entry = find(provider, model)
        if entry is None:
            return None
        family, sold = entry
        following = sold.successor if sold is not None else family.nearest
        if following is None or following in seen:
            return None
        seen.add(following)
        provider, _, model = following.partition(":")
        after = find(provider, model)
        if after is None or after[1] is None or not after[1].retired(today):
            return following
        ref = following


@cache
def _by_id() -> Mapping[tuple[str, str], tuple[Family, Sold]]:
    return {
        (sold.provider, one): (family, sold)
        for family in families()
        for sold in family.sold
        for one in (sold.id, *sold.aliases)
    }


@cache
def _self_hosted() -> Mapping[tuple[str, str], tuple[Family, None]]:
    return {
        (server, one): (family, None)
        for family in families()
        for server, one in family.self_hosted.items()
    }


@cache
def _by_name() -> Mapping[str, Family]:
    return {family.name.lower(): family for family in families()}
