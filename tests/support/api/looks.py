"""How a page looks at each width: what scrolls sideways, and pictures of it."""

from pathlib import Path

from playwright.sync_api import Page

from tests.support.api.axe import HIGH

WIDTHS = (360, 768, 1280, 2560)  # CSS pixels
PICTURED = (360, 1280)
SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def look(page: Page, name: str, screenshots: Path | None = None, theme: str = "light") -> list[str]:
    """What scrolls sideways. Pictures are taken on the way, if there is a folder for them."""
    problems = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HIGH})
        beyond = page.evaluate(SIDEWAYS)
        if beyond > 0:
            problems.append(f"{name} at {width} px scrolls {beyond} px sideways")
        if screenshots is not None and width in PICTURED:
            page.screenshot(path=screenshots / f"{name}-{width}-{theme}.png", full_page=True)
    return problems
