"""docs/security.md names every route with the scopes that it needs."""

import re
from pathlib import Path

from tests.support.api.access import ROWS


def test_the_page_on_security_tells_of_every_route_what_it_needs() -> None:
    page = (Path(__file__).parents[4] / "docs" / "security.md").read_text()
    _, _, table = page.partition("| needs | routes |\n|---|---|\n")
    told: dict[tuple[str, str], str] = {}
    for line in table.partition("\n\n")[0].splitlines():
        needs, routes = line.strip("| ").split(" | ")
        for methods, path in re.findall(r"`([A-Z ]+) (/[^`]*)`", routes):
            full = path if needs == "no key" else f"/v1{path}"
            told |= {(method.lower(), full): needs for method in methods.split()}
    assert told == {route: " and ".join(row.opens) or "no key" for route, row in ROWS.items()}
