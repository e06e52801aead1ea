"""Models that nobody is known to sell."""

import pytest

from tierline.base.model_ref import ModelRef
from tierline.base.settings import settings
from tierline.base.yaml_lines import read_yaml
from tierline.features.parse import parse_feature
from tierline.pricing.unlisted import unlisted, unlisted_models

FILE = """
feature: x
instructions: x
input: {type: object}
output: {type: string}
tiers:
  - name: slm
    models:
      - openai:gpt-4o
      - openai:gpt-99-nano
    prices:
      openai:gpt-4o: {input_usd_per_mtok: 1, output_usd_per_mtok: 1}
"""


@pytest.fixture(autouse=True)
def at_the_seller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    settings.cache_clear()


def test_an_id_that_is_in_no_list_is_told_with_its_line_and_the_nearest() -> None:
    [(line, told)] = unlisted_models(parse_feature(FILE), read_yaml(FILE, "f"))
    assert line == 10
    assert told.startswith("tier slm: openai:gpt-99-nano is in no catalogue and no price list")
    assert "the nearest is openai:gpt-" in told
    assert "OPENAI_BASE_URL" in told


@pytest.mark.parametrize(
    "model", ["openai:gpt-4o", "openai:ft:gpt-4o:acme::x", "local:anything", "azure:my-deployment"]
)
def test_known_models_and_ones_own_are_not(model: str) -> None:
    assert unlisted(ModelRef.parse(model)) is None


def test_an_id_with_a_price_in_the_file_is_not() -> None:
    text = FILE.replace("openai:gpt-4o: {", "openai:gpt-99-nano: {")
    assert list(unlisted_models(parse_feature(text), read_yaml(text, "f"))) == []


def test_another_server_may_serve_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    settings.cache_clear()
    assert unlisted(ModelRef.parse("openai:gpt-99-nano")) is None
    settings.cache_clear()
