"""Applying a feature: what the catalogue and the prices say of its models."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from tierline import providers
from tierline.base.errors import FeatureError
from tierline.base.settings import settings
from tierline.services.features.apply_feature import apply_feature
from tierline.storage.db.engine import connect_args, psycopg_url

TEXT = """\
feature: {name}
instructions: Say in one sentence what the customer wants.
input: {{type: object, required: [text], properties: {{text: {{type: string}}}}}}
output: {{type: object, required: [what], properties: {{what: {{type: string}}}}}}
{more}
tiers:
  - name: slm
    models:
      - {model}
"""


@pytest.fixture(autouse=True)
def at_openai(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OPENAI_BASE_URL", "TIERLINE_LOCAL_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody")
    settings.cache_clear()
    providers.close()
    yield
    settings.cache_clear()
    providers.close()


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection[Any]]:
    arguments = connect_args("test")
    with psycopg.connect(psycopg_url(database_url), autocommit=True, **arguments) as opened:
        yield opened


def feature(name: str, model: str, more: str = "") -> str:
    return TEXT.format(name=name, model=model, more=more)


def test_a_class_is_pinned_to_an_exact_model_in_that_version(connection: Connection[Any]) -> None:
    applied = apply_feature(connection, feature("by-class", "class:small"))
    assert applied.version is not None
    assert applied.version.document["tiers"][0]["models"] == ["openai:gpt-6-luna"]
    assert "class:small" in applied.version.source
    assert applied.warnings[0].startswith("class:small is openai:gpt-6-luna in this version, at $")


def test_a_class_that_nothing_stands_for_is_refused_at_its_line(
    connection: Connection[Any],
) -> None:
    with pytest.raises(FeatureError) as refused:
        apply_feature(connection, feature("nowhere", "class:small", "residency: [eu]"))
    (problem,) = refused.value.problems
    assert problem.line == 9
    assert "no model of the class small can be used here" in problem.message
    assert "openai runs outside eu" in problem.message


def test_a_retired_model_is_refused_at_its_line_with_its_successor(
    connection: Connection[Any],
) -> None:
    with pytest.raises(FeatureError) as refused:
        apply_feature(connection, feature("too-late", "openai:gpt-4o-2024-05-13"))
    (problem,) = refused.value.problems
    assert (problem.line, problem.path) == (9, "/tiers/0/models/0")
    assert "in its place: openai:gpt-5.6-sol" in problem.message


def test_a_model_outside_of_the_features_region_is_refused(connection: Connection[Any]) -> None:
    with pytest.raises(FeatureError) as refused:
        apply_feature(connection, feature("far", "openai:gpt-6-luna", "residency: [eu]"))
    assert "this feature allows only eu" in refused.value.problems[0].message


def test_an_unpriced_model_is_said_and_applied(connection: Connection[Any]) -> None:
    applied = apply_feature(connection, feature("unpriced", "openai:my-finetune"))
    assert any("its price is unknown" in warning for warning in applied.warnings)
    connection.execute(
        "INSERT INTO prices (model, since, price) VALUES ('openai:my-finetune', now(),"
        """ '{"input_usd_per_mtok": "1", "output_usd_per_mtok": "2"}')"""
    )
    again = apply_feature(connection, feature("unpriced", "openai:my-finetune"))
    assert again.warnings == ()
