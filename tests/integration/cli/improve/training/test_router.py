"""`tierline router`, on a labelled log that is put into the tables by hand."""

import json
import random
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.cli import Tierline
from tests.support.database.rows import add_job

pytestmark = pytest.mark.usefixtures("trains")

COMPLEX = """
  - {name: frontier, models: [openai:large]}
complexity: {max_risk: 0.5}
"""


@pytest.fixture
def routed(tierline: Tierline, feature: str, tmp_path: Path) -> str:
    """A feature that routes by complexity."""
    source = json.loads(tierline("features", "show", feature, "--json").out)["source"]
    file = tmp_path / "routed.yaml"
    file.write_text(source.replace(f"feature: {feature}", "feature: routed") + COMPLEX)
    applied = tierline("features", "apply", file)
    assert applied.code == 0, applied.err
    return "routed"


def log(database_url: str, feature: str, count: int) -> None:
    """Attempts that failed a check, and outcomes that agree; what is long fails more often."""
    draw = random.Random(3)
    with psycopg.connect(database_url, autocommit=True) as connection:
        found: Any = connection.execute(
            "SELECT f.version_id, a.id FROM features f, accounts a WHERE f.name = %s", (feature,)
        ).fetchone()
        for number in range(count):
            long = draw.random() < 0.5
            bad = draw.random() < (0.8 if long else 0.1)
            text = f"Order ZK-{number}" + " and some more of it" * (8 if long else 0)
            job = add_job(connection, found[1], found[0], input={"text": text})
            connection.execute(
                "INSERT INTO attempts (job_id, number, claim_token, tier, queue, worker, verdict)"
                " VALUES (%s, 1, gen_random_uuid(), 'slm', 'slm', 'w', %s)",
                (job, "schema" if bad else "passed"),
            )
            if not bad:
                connection.execute(
                    "INSERT INTO outcomes (job_id, attempt, feature, recipe, fingerprint, models,"
                    " signals, served, inclusion, drawn, differs, repeated)"
                    " VALUES (%s, 1, %s, 'r', 'f', 'm', '{}', true, 1, true, false, false)",
                    (job, feature),
                )


def test_without_a_labelled_log_it_says_how_much_is_needed(tierline: Tierline, routed: str) -> None:
    ran = tierline("router", "train", routed)
    assert ran.code == 1
    assert "0 inputs of routed are labelled, and 50 more are needed" in ran.err
    assert tierline("router", "list", routed).out.startswith("no router yet")


@pytest.mark.parametrize("more", [("--no-embeddings",), ()], ids=["form", "form and meaning"])
def test_a_router_is_trained_listed_and_withdrawn(
    tierline: Tierline, routed: str, database_url: str, more: tuple[str, ...]
) -> None:
    log(database_url, routed, 120)
    tried = tierline("router", "train", routed, "--dry-run", *more)
    assert tried.code == 0, tried.err
    assert "not saved" in tried.out
    for baseline in ("this router", "prompt length", "TF-IDF", "kNN"):
        assert baseline in tried.out
    assert "OVER LENGTH" in tried.out
    assert "better than" in tried.out
    made = json.loads(tierline("router", "train", routed, "--json", *more).out)
    assert made["quality"]["auroc"] > 0.7
    quality = made["quality"]
    assert quality["apgr"]["router"] > 0.6
    assert quality["over_coin"]["router"]["low"] > 0
    assert quality["recommended"] in ("router", "length")
    assert made["router"]["rows"] >= 120
    listed = tierline("router", "list", routed)
    uses = "form and meaning" if made["router"]["with_embeddings"] else "form"
    assert uses in listed.out
    assert not (more and made["router"]["with_embeddings"])
    assert tierline("router", "withdraw", routed, made["router"]["id"]).code == 0
    refused = tierline("router", "withdraw", routed, 999)
    assert (refused.code, len(refused.err.splitlines())) == (1, 1)


def test_a_log_of_one_kind_teaches_nothing(
    tierline: Tierline, feature: str, routed: str, database_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE attempts SET verdict = 'passed'")
        connection.execute("UPDATE outcomes SET differs = false")
    log(database_url, routed, 60)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE attempts SET verdict = 'schema'")
    ran = tierline("router", "train", routed)
    assert ran.code == 1
    assert "handled 0 of" in ran.err
    assert tierline("router", "train", feature).code == 1
