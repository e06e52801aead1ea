"""The console's own style sheet and scripts. They are read once, and their URL changes with their
content, so that a browser may keep them."""

import hashlib
from pathlib import Path

from fastapi import APIRouter, Response

from tierline.base.errors import NotFound

router = APIRouter(prefix="/console/static", include_in_schema=False)

_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FILES = {
    path.name: path.read_bytes()
    for path in sorted((Path(__file__).parent / "static").iterdir())
    if path.suffix in _KINDS
}
_VERSION = hashlib.sha256(b"".join(_FILES.values())).hexdigest()[:12]
KEPT = "public, max-age=31536000, immutable"


def static_url(name: str) -> str:
    """The URL of a file. Raises KeyError if there is none."""
    _FILES[name]
    return f"{router.prefix}/{_VERSION}/{name}"


@router.get("/{version}/{name}")
async def get_static(version: str, name: str) -> Response:
    """A file. A page of another release names another version: it gets this one, which is not
    cached."""
    body = _FILES.get(name)
    if body is None:
        raise NotFound(f"there is no file {name[:80]!r}")
    headers = {
        "Cache-Control": KEPT if version == _VERSION else "no-cache",
        "Content-Security-Policy": "default-src 'none'",
    }
    return Response(body, 200, headers, _KINDS[Path(name).suffix])
