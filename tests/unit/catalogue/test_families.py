"""The catalogue: every fact has a source, every name of the issue has an answer."""

import tomllib
from datetime import date, timedelta

import pytest

from tierline.catalogue import CLASSES, families, find, named, region_of, replacement
from tierline.catalogue.families import FOLDER, Sold, sources

TODAY = date(2026, 11, 25)
GROUPS = {
    "lifecycle": ("retires", "not_before", "successor"),
    "limits": ("context_tokens", "output_tokens"),
    **{name: (name,) for name in ("structured_output", "logprobs", "temperature", "reasoning")},
}
ALL_SOLD = [sold for family in families() for sold in family.sold]


@pytest.mark.parametrize("sold", ALL_SOLD, ids=lambda sold: sold.ref)
def test_every_fact_has_a_dated_source(sold: Sold) -> None:
    for group, facts in GROUPS.items():
        if any(getattr(sold, fact) is not None for fact in facts):
            assert sold.sources.get(group) in sources(), f"{group} of {sold.ref}"


def test_every_source_says_where_and_when() -> None:
    for source in sources().values():
        assert source["url"]
        assert isinstance(source["read"], date)


def test_no_id_is_listed_twice() -> None:
    ids = [(sold.provider, one) for sold in ALL_SOLD for one in (sold.id, *sold.aliases)]
    assert len(ids) == len(set(ids))


def test_every_family_has_a_known_class() -> None:
    assert {family.model_class for family in families()} == set(CLASSES)


@pytest.mark.parametrize(
    ("name", "model_class"),
    [
        *((name, "frontier") for name in ("GPT-5", "Claude Opus 4", "Gemini 3.1 Pro")),
        *((name, "mid") for name in ("Gemini 3.5 Flash", "GPT-4o", "Claude Sonnet 4")),
        *((name, "small") for name in ("GPT-4o mini", "Phi-4", "Mistral Small 3")),
        *((name, "small") for name in ("Llama 3.3 70B", "Llama 3.3 8B", "Claude Haiku 4")),
        *((name, "micro") for name in ("Phi-3 Mini", "Gemma 2B", "Llama 3.2 1B")),
    ],
)
def test_the_families_that_must_be_there_are(name: str, model_class: str) -> None:
    family = named(name)
    assert family is not None
    assert family.model_class == model_class


@pytest.mark.parametrize("name", ["Claude Haiku 4", "Llama 3.3 8B"])
def test_a_name_that_nobody_sells_has_no_id_and_a_nearest_relative(name: str) -> None:
    family = named(name)
    assert family is not None
    assert family.sold == ()
    assert family.nearest is not None
    provider, _, model = family.nearest.partition(":")
    assert find(provider, model) is not None


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_every_successor_and_relative_is_itself_in_the_catalogue(family: object) -> None:
    refs = [family.nearest, *(sold.successor for sold in family.sold)]  # type: ignore[attr-defined]
    for ref in refs:
        if ref is not None:
            provider, _, model = ref.partition(":")
            assert find(provider, model) is not None, ref


def test_an_alias_finds_the_id_behind_it() -> None:
    entry = find("openai", "gpt-4o")
    assert entry is not None
    assert entry[1] is not None
    assert entry[1].id == "gpt-4o-2024-08-06"


def test_a_prefix_of_an_id_finds_nothing() -> None:
    assert find("openai", "gpt-4") is None
    assert find("anthropic", "claude-haiku-4-5-zzz") is None


def test_the_same_ids_are_found_at_vertex() -> None:
    assert find("vertex", "gemini-3.5-flash") == find("gemini", "gemini-3.5-flash")


def test_a_model_that_one_serves_oneself_is_found_by_its_servers_id() -> None:
    entry = find("ollama", "phi4")
    assert entry is not None
    assert entry[0].name == "Phi-4"
    assert entry[1] is None


def test_a_replacement_is_one_that_is_still_sold() -> None:
    assert replacement("openai:gpt-5", TODAY) == "openai:gpt-6.1-sol"
    assert replacement("anthropic:claude-opus-4-20250514", TODAY) == "anthropic:claude-opus-4-8"
    assert replacement("openai:gpt-4o-2024-05-13", TODAY) == "openai:gpt-5.6-sol"
    assert replacement("nobody:nothing", TODAY) is None


def test_a_model_is_retired_from_its_day_on() -> None:
    entry = find("openai", "gpt-5")
    assert entry is not None
    assert entry[1] is not None
    assert entry[1].retires is not None
    assert not entry[1].retired(entry[1].retires - timedelta(days=1))
    assert entry[1].retired(entry[1].retires)


def test_a_region_is_promised_by_some_hosts_only() -> None:
    assert region_of("eu.api.openai.com") == "eu"
    assert region_of("api.openai.com") is None
    hosts = tomllib.loads((FOLDER / "residency.toml").read_text())["host"]
    assert all(host["source"] in sources() for host in hosts)
