"""The source of the site: its navigation, its links, and the page of the REST API."""

from pathlib import Path

import pytest

from api.app import create_routes
from api.health.metrics import Metrics
from docs.site import stage
from docs.site.rest import reference
from tierline.base.settings import Settings

DOCS = stage.DOCS
PAGE = DOCS / "page.md"


def test_each_page_stands_in_the_navigation_once(tmp_path: Path) -> None:
    index = DOCS / "index.md"
    pages_there = {*DOCS.glob("*.md"), *stage.BESIDE}
    text = stage.rewritten(index, index.read_text(), tmp_path, pages_there)
    listed = [
        line for line in stage.navigation(text).splitlines() if line[:1] not in {"`", ":", ""}
    ]
    pages = {page.stem for page in DOCS.glob("*.md")} - {"index"}
    beside = {str(stage.staged(page).with_suffix("")) for page in stage.BESIDE}
    assert sorted(listed) == sorted(pages | beside)


def test_the_kinds_of_pages_are_the_groups() -> None:
    groups = stage.navigation((DOCS / "index.md").read_text()).count(":caption:")
    assert groups == len(("Tutorial", "How-to", "Reference", "Explanation", "Project"))


@pytest.mark.parametrize(
    ("written", "staged"),
    [
        ("[a](other.md#part)", "[a](other.md#part)"),
        ("[a](../README.md)", "[a](repository/README.md)"),
        ("[a](../Procfile)", "[a](repository/Procfile)"),
        ("[a](../benchmarks/)", "a"),
        ("[a](https://example.com/x.md)", "[a](https://example.com/x.md)"),
        ("[a](missing.md)", "[a](missing.md)"),
        ("```sh\n[a](../README.md)\n```", "```sh\n[a](../README.md)\n```"),
    ],
)
def test_links_lead_to_where_their_targets_are_staged(
    tmp_path: Path, written: str, staged: str
) -> None:
    pages = {PAGE, DOCS / "other.md", *stage.BESIDE}
    assert stage.rewritten(PAGE, written, tmp_path, pages) == staged


def test_a_page_beside_docs_links_back_into_them(tmp_path: Path) -> None:
    readme = stage.ROOT / "README.md"
    text = stage.rewritten(readme, "[a](docs/cli.md)", tmp_path, {DOCS / "cli.md", readme})
    assert text == "[a](../cli.md)"


def test_a_file_that_is_linked_to_comes_along(tmp_path: Path) -> None:
    stage.rewritten(PAGE, "[a](../Procfile)", tmp_path, {PAGE})
    copied = (tmp_path / "repository" / "Procfile").read_text()
    assert copied == (stage.ROOT / "Procfile").read_text()


def test_the_rest_reference_has_every_route_and_object() -> None:
    document = create_routes(Settings(), Metrics()).openapi()
    page = reference(document)
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in page
    for name in document["components"]["schemas"]:
        assert f"\n### {name}\n" in page


def test_a_field_says_its_type_and_whether_it_is_required() -> None:
    ref = {"$ref": "#/components/schemas/Part"}
    thing = {
        "properties": {
            "size": {"type": "integer", "minimum": 1, "description": "in a|b"},
            "parts": {"type": "array", "items": ref},
        },
        "required": ["size"],
    }
    document = {
        "info": {"version": "1", "description": "An API."},
        "paths": {},
        "components": {"schemas": {"Thing": thing}},
    }
    page = reference(document)
    assert "| `size` | integer, required | in a\\|b; at least 1 |" in page
    assert "| `parts` | list of [Part](#object-part) |  |" in page
