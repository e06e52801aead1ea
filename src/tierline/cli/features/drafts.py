"""Drafts on the command line: trying a file on the queues without applying it."""

from dataclasses import replace
from pathlib import Path

from tierline.base.errors import FeatureError, InvalidInput
from tierline.base.json_text import JSON
from tierline.cli.shared.client import Client


def keep_draft(api: Client, path: Path, text: str, tier: str | None) -> JSON:
    """The draft of a file's text. Raises FeatureError with the problems that the server finds."""
    tail = "" if tier is None else f"?tier={tier}"
    try:
        return api.post(
            f"/v1/drafts{tail}",
            content=text.encode(),
            headers={"Content-Type": "application/yaml"},
        )
    except InvalidInput as error:
        problems = [replace(one, source=str(path)) for one in error.problems]
        raise FeatureError(problems, error.left_out) from None


def submit(api: Client, draft: JSON, input: JSON) -> JSON:
    """A new job of the draft."""
    return api.post(f"/v1/drafts/{draft['id']}/jobs", json={"input": input})
