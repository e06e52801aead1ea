"""The region in which a provider runs calls to one of its addresses."""

import tomllib
from collections.abc import Mapping
from functools import cache

from tierline.catalogue.families import FOLDER


def region_of(host: str) -> str | None:
    """The region that the provider guarantees for calls to this host; None if it guarantees
    none.
    """
    return _regions().get(host.lower())


@cache
def _regions() -> Mapping[str, str]:
    entries = tomllib.loads((FOLDER / "residency.toml").read_text(encoding="utf-8"))["host"]
    return {entry["name"]: entry["region"] for entry in entries}
