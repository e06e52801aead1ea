"""Reads a feature's datasets from the API, for the commands that use one."""

from typing import TYPE_CHECKING

from tierline.base.errors import TierlineError
from tierline.base.json_text import JSON

if TYPE_CHECKING:
    from tierline.cli.shared.client import Client

PAGE = 2_000  # rows in one request


def find(api: "Client", feature: str, version: int | None) -> JSON:
    """The dataset of a version, or the newest one. Raises TierlineError if there is none."""
    if version is not None:
        return api.get(f"/v1/features/{feature}/datasets/{version}")
    datasets = api.get(f"/v1/features/{feature}/datasets")["data"]
    if not datasets:
        raise TierlineError(f"{feature} has no dataset yet: run 'tierline dataset build {feature}'")
    return datasets[0]


def rows_of(api: "Client", feature: str, version: int) -> list[JSON]:
    """All rows of a dataset, in order."""
    rows: list[JSON] = []
    cursor: str | None = None
    while True:
        page = {"limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
        answer = api.get(f"/v1/features/{feature}/datasets/{version}/rows", params=page)
        rows += answer["data"]
        cursor = answer["next_cursor"]
        if cursor is None:
            return rows
