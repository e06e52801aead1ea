"""Every other path under /console."""

from fastapi import APIRouter

from api.console.pages import ConsoleRoute
from api.console.session import CONSOLE, Reader
from tierline.base.errors import NotFound

router = APIRouter(prefix=CONSOLE, include_in_schema=False, route_class=ConsoleRoute)


@router.get("/{path:path}")
async def get_unknown(path: str, _: Reader) -> None:
    """Raises NotFound."""
    raise NotFound(f"the console has no page {path[:80]!r}")
