"""What axe finds on a page of the console."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

WIDE, HIGH = 1280, 900  # CSS pixels


def violations(page: Page) -> list[str]:
    """All of it, with the places."""
    page.set_viewport_size({"width": WIDE, "height": HIGH})
    return _violation_lines(Axe().run(page, options={"resultTypes": ["violations"]}).response)


def contrast(page: Page) -> list[str]:
    """Texts with too little contrast. `violations` has put axe on the page already."""
    return _violation_lines(page.evaluate("() => axe.run({runOnly: ['color-contrast']})"))


def _violation_lines(result: dict[str, Any]) -> list[str]:
    return [
        f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes']][:4]}"
        for one in result["violations"]
    ]
