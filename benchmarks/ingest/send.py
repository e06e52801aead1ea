"""Sending a batch over HTTP, as a client would: opened, its parts one after another, sealed."""

import json
from collections.abc import Sequence

import httpx

from tierline.base.json_text import JSON

TEXT = "Invoice A-17 of Nordwind GmbH\nTotal due: 12.50 EUR\n" * 6


def rows(count: int) -> list[dict[str, JSON]]:
    """Rows for the feature `echo`, as a caller's file would hold them: some 350 bytes each."""
    return [{"custom_id": f"row-{number}", "input": {"text": TEXT}} for number in range(count)]


def body_of(rows: Sequence[dict[str, JSON]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def send_batch(client: httpx.Client, parts: Sequence[bytes]) -> str:
    """Open a batch, send its parts, seal it; its id."""
    opened = client.post("/v1/batches", json={"feature": "echo"})
    opened.raise_for_status()
    batch_id = str(opened.json()["id"])
    for number, body in enumerate(parts, 1):
        client.put(
            f"/v1/batches/{batch_id}/parts/{number}",
            content=body,
            headers={"Content-Type": "application/x-ndjson"},
        ).raise_for_status()
    client.post(f"/v1/batches/{batch_id}/seal", json={"parts": len(parts)}).raise_for_status()
    return batch_id
