"""What the pages name exists: files, commands, make targets, settings."""

import re
import runpy
from pathlib import Path

import pytest
from pydantic import AliasChoices

from tests.support.docs import blocks
from tierline.base.settings import Settings
from tierline.cli.main import ENTRIES
from tierline.features.parse import parse_with_warnings

ROOT = Path(__file__).parents[3]
PAGES = [
    *(ROOT / name for name in ("README.md", "examples/README.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
ELSEWHERE = {  # read by the command line, the supervisor or an example, not by the settings
    *("TIERLINE_URL", "TIERLINE_API_KEY", "TIERLINE_HOME", "TIERLINE_PROFILE", "TIERLINE_DEBUG"),
    "TIERLINE_MODEL_DIR",
    *("TIERLINE_FLOWER_USER", "TIERLINE_FLOWER_PASSWORD", "TIERLINE_FLOWER_HOST"),
    *("TIERLINE_FLOWER_PREFIX", "TIERLINE_WEBHOOK_SECRET"),
}
FORMER = {  # names of the release before that go on working
    str(name)
    for field in Settings.model_fields.values()
    if isinstance(field.validation_alias, AliasChoices)
    for name in field.validation_alias.choices
}
SETTINGS = ELSEWHERE | FORMER | {f"TIERLINE_{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_commands_and_targets_exist(page: Path) -> None:
    text = page.read_text()
    assert set(re.findall(r"\bTIERLINE_[A-Z_]+\b", text)) <= SETTINGS
    code = "\n".join([*re.findall(r"`([^`\n]+)`", text), *(block.text for block in blocks(page))])
    commands = set(re.findall(r"(?:^|[\s/])tierline ([a-z]+)\b", code, re.M))
    assert commands <= set(ENTRIES), commands - set(ENTRIES)
    made = set(re.findall(r"^make ([a-z-]+)", code, re.M))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert made <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_of_a_known_kind(page: Path) -> None:
    for block in blocks(page):
        assert block.kind in {"sh", "console", "python", "json", "yaml", "text"}, block.where


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) < 1000


def test_the_readmes_feature_is_valid() -> None:
    (source,) = (block.text for block in blocks(ROOT / "README.md") if block.kind == "yaml")
    feature, warnings = parse_with_warnings(source)
    assert feature.name == "order-number"
    assert warnings == []


@pytest.mark.parametrize("name", ["road", "routers"])
def test_a_picture_is_what_its_script_draws(name: str) -> None:
    drawn = runpy.run_path(str(ROOT / "docs" / "pictures" / f"{name}.py"))[name]()
    assert (ROOT / "docs" / "pictures" / f"{name}.svg").read_text() == drawn
