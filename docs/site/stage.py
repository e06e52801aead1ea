"""Writes the pages of the site as Sphinx reads them: `python -m docs.site.stage FOLDER`.

The pages of docs/ are at the top, and the others that they link to in repository/. A link between
pages keeps its target; a link to another file of the repository becomes a download, and one to a
folder its text. docs/index.md gives the navigation: a section is a group, and a page stands where
its table has it.
"""

import json
import os
import re
import shutil
import sys
from pathlib import Path

from api.app import create_routes
from api.health.metrics import Metrics
from docs.site.rest import reference
from tierline.base.settings import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BESIDE = tuple(
    ROOT / name
    for name in (
        *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
        *("benchmarks/README.md", "client/README.md", "examples/README.md"),
    )
)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^)\s]+)\)")


def staged(page: Path) -> Path:
    """Where a page or file of the repository stands in the site's source."""
    if page.is_relative_to(DOCS):
        return page.relative_to(DOCS)
    return Path("repository") / page.relative_to(ROOT)


def rewritten(page: Path, text: str, folder: Path, pages: set[Path]) -> str:
    """The text of a page with its links as they are in the site; copies the files it links to."""

    def link(found: re.Match[str]) -> str:
        mark, words, target = found.groups()
        path, hash_, anchor = target.partition("#")
        if not path or "://" in path or path.startswith("mailto:"):
            return found[0]
        file = Path(os.path.normpath(page.parent / path))
        if file.is_dir():
            return words
        if not file.is_file():
            return found[0]  # Sphinx says that it leads nowhere
        if file not in pages:
            copy = folder / staged(file)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        to = os.path.relpath(staged(file), staged(page).parent)
        return f"{mark}[{words}]({to}{hash_}{anchor})"

    parts = re.split(r"(^```.*?^```$)", text, flags=re.M | re.S)
    return "".join(part if part.startswith("```") else LINK.sub(link, part) for part in parts)


def navigation(index: str) -> str:
    """The groups of docs/index.md as Sphinx's tables of contents, which show beside each page."""
    groups: list[tuple[str, list[str]]] = []
    for section in index.split("\n## ")[1:]:
        caption = section.partition("\n")[0]
        targets = re.findall(r"^\| \[[^\]]+\]\(([^)]+)\.md\)", section, re.M)
        groups.append((caption, targets))
    listed = {target for _, targets in groups for target in targets}
    others = [str(staged(page).with_suffix("")) for page in BESIDE]
    groups.append(("Project", [page for page in others if page not in listed]))
    return "\n".join(
        f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(pages) + "\n```\n"
        for caption, pages in groups
    )


def stage(folder: Path) -> None:
    """Write the whole source of the site to `folder`, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    pages = {*DOCS.glob("*.md"), *BESIDE}
    for page in sorted(pages):
        text = rewritten(page, page.read_text(encoding="utf-8"), folder, pages)
        if page == DOCS / "index.md":
            text = text.replace("| REST |", "| [REST](rest.md) |")
            text += "\n" + navigation(text)
        written = folder / staged(page)
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(text, encoding="utf-8")
    document = create_routes(Settings(), Metrics()).openapi()
    (folder / "rest.md").write_text(reference(document), encoding="utf-8")
    (folder / "openapi.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    (folder / "_static").mkdir()
    here = Path(__file__).parent
    shutil.copyfile(here / "conf.py", folder / "conf.py")
    shutil.copyfile(here / "site.css", folder / "_static" / "site.css")


if __name__ == "__main__":
    stage(Path(sys.argv[1]))
