"""Promotions by evidence: what is written, what is refused, and what takes them back by itself."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from tests.support.database.notified import notifications_sent
from tests.support.database.rows import add_job
from tests.support.waiting import DEADLINE_S
from tierline.base.errors import Conflict, InvalidInput
from tierline.base.ids import new_id
from tierline.routing.thresholds.fingerprint import recipe, task
from tierline.services.accounts.accounts import create_account
from tierline.services.evidence.evaluation.evaluation_validity import recipe_alone
from tierline.services.evidence.watch.promotions import (
    PromotionRequest,
    demote,
    demote_promoted,
    promote,
    promotions_of,
    watch,
)
from tierline.services.features.apply_feature import apply_feature
from tierline.services.features.find_feature import current_feature, current_version
from tierline.storage.db.engine import create_pool

FEATURE = """feature: kinds
instructions: Name the kind.    # as it is
input: {type: object}
output: {type: string, enum: [a, b]}
routing: frontier_first
shadow: {share: 0.5}
confidence: {signal: label_logprob, threshold: 0.7}
tiers:
  - {name: slm, models: [openai:small]}
  - {name: frontier, models: [openai:large]}
"""


@pytest.fixture
def db(fresh_database_url: str) -> Iterator[Connection[Any]]:
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        create_account(connection, "acme")
        apply_feature(connection, FEATURE)
        yield connection


@pytest.fixture
def pool(fresh_database_url: str) -> Iterator[ConnectionPool[Any]]:
    with create_pool(fresh_database_url, "test", 2) as made:
        yield made


def evidence(
    db: Connection[Any],
    verdict: str = "ship",
    *,
    low: float = 0.92,
    differ_at_most: float = 0.05,
    unanswered: int = 0,
    age_days: float = 0.0001,
) -> int:
    """A completed evaluation of the feature as it is now."""
    feature = current_feature(db, "kinds")
    tiers = ("slm", "frontier")
    plan = {
        "tiers": [
            {
                "tier": name,
                "draft_id": 0,
                "recipe": recipe_alone(feature, name),
                "models": [str(model) for model in feature.tier(name).models],
            }
            for name in tiers
        ],
        "limit": None,
        "numbers": [],
        "left_out": {},
    }
    of_tier = {"right": 95, "quality": 0.95, "interval": [0.9, 0.98], "cost_usd": "0"}
    found = {
        "examples": 100,
        "tiers": [
            {**of_tier, "tier": "slm", "models": ["small-1"], "unanswered": unanswered},
            {**of_tier, "tier": "frontier", "models": ["large-1"], "unanswered": 0},
        ],
        "compared": [
            {
                **{"tier": "slm", "with": "frontier", "ratio": 1.0, "interval": [low, 1.02]},
                **{"verdict": verdict, "reason": "it keeps 97%", "more_examples": 120},
                **{"differ_at_most": differ_at_most, "rows": []},
            }
        ],
        "fields": [],
        "slices": [],
    }
    row = db.execute(
        "WITH made AS (INSERT INTO datasets (feature, version, task, rows, sha256, document)"
        " SELECT 'kinds', coalesce(max(version), 0) + 1, %s, 0, '', '{}' FROM datasets"
        " RETURNING id) INSERT INTO evaluations"
        " (feature, dataset_id, account_id, status, plan, document, ended_at)"
        " SELECT 'kinds', id, 1, 'completed', %s, %s,"
        " clock_timestamp() - make_interval(secs => 86400 * %s) FROM made RETURNING id",
        (task(feature), json.dumps(plan), json.dumps(found), age_days),
    ).fetchone()
    assert row is not None
    return int(row[0])


def routed(db: Connection[Any]) -> tuple[str, Any]:
    feature = current_feature(db, "kinds")
    return feature.routing, None if feature.canary is None else feature.canary.share


def compared(db: Connection[Any], count: int, differing: int) -> None:
    """Outcomes of the first tier's answers that the last one answered as well."""
    feature = current_feature(db, "kinds")
    made = recipe(feature, feature.tiers[0])
    for number in range(count):
        db.execute(
            "INSERT INTO outcomes (job_id, attempt, feature, recipe, fingerprint, models, signals,"
            " served, inclusion, drawn, noted_at, differs, repeated)"
            " VALUES (%s, 1, 'kinds', %s, 'f', 'm', '{}', true, 0.5, true,"
            " clock_timestamp(), %s, false)",
            (new_id(), made, number < differing),
        )


def test_without_evidence_nothing_is_promoted(db: Connection[Any]) -> None:
    with pytest.raises(Conflict, match=r"there is none.*tierline eval kinds"):
        promote(db, "kinds", PromotionRequest())
    assert routed(db) == ("frontier_first", None)


@pytest.mark.parametrize(
    ("told", "verdict", "more"),
    [
        ("look at the data first", "investigate", {}),
        ("about 120 more examples", "open", {}),
        ("left 5 of 100 examples unanswered", "ship", {"unanswered": 5}),
        ("older than 90 days", "ship", {"age_days": 91}),
    ],
)
def test_evidence_that_does_not_reach_promotes_nothing(
    db: Connection[Any], told: str, verdict: str, more: dict[str, Any]
) -> None:
    evidence(db, verdict, **more)
    with pytest.raises(Conflict, match=told):
        promote(db, "kinds", PromotionRequest())
    assert promotions_of(db, "kinds") == []


def test_at_90_percent_it_ships_and_doubts_still_escalate(db: Connection[Any]) -> None:
    id = evidence(db, "ship")
    tried = promote(db, "kinds", PromotionRequest(dry_run=True))
    assert (tried.feature_version, routed(db)) == (None, ("frontier_first", None))
    made = promote(db, "kinds", PromotionRequest())
    assert (made.rung, made.feature_version, made.evaluation) == ("ship", 2, str(id))
    assert routed(db) == ("slm_first", None)
    assert not made.only_checks_escalate
    source = current_version(db, "kinds").source
    assert source == FEATURE.replace("frontier_first", "slm_first")
    (kept,) = promotions_of(db, "kinds")
    # 5% may differ by the evaluation, and what it keeps above 90%, of 95% that are right.
    assert kept.most_differing == pytest.approx(0.05 + 0.02 * 0.95)


def test_at_95_percent_only_checks_escalate_and_the_evidence_still_holds(
    db: Connection[Any], pool: ConnectionPool[Any]
) -> None:
    evidence(db, "default", low=0.96)
    made = promote(db, "kinds", PromotionRequest())
    assert made.only_checks_escalate
    confidence = current_feature(db, "kinds").confidence
    assert confidence is not None
    assert confidence.threshold == 0
    assert watch(pool) == 0
    again = promote(db, "kinds", PromotionRequest(keep_confidence=True))
    assert again.rung == "default"


def test_other_prompts_schemas_and_models_make_evidence_stale(db: Connection[Any]) -> None:
    for before, after in (
        ("Name the kind.", "Say the kind."),
        ("[a, b]", "[a, b, c]"),
        ("openai:small", "openai:other"),
    ):
        apply_feature(db, FEATURE)
        evidence(db)
        apply_feature(db, FEATURE.replace(before, after))
        with pytest.raises(Conflict, match="changed since"):
            promote(db, "kinds", PromotionRequest())


def test_a_canary_grows_by_what_was_compared_since_it_began(db: Connection[Any]) -> None:
    evidence(db)
    promote(db, "kinds", PromotionRequest(share=0.1))
    assert routed(db) == ("frontier_first", 0.1)
    with pytest.raises(Conflict, match="0 of 50 answers were compared"):
        promote(db, "kinds", PromotionRequest(share=0.5))
    compared(db, 50, 3)
    promote(db, "kinds", PromotionRequest(share=0.5))
    assert routed(db) == ("frontier_first", 0.5)
    with pytest.raises(Conflict, match="0 of 50"):
        promote(db, "kinds", PromotionRequest())
    compared(db, 60, 40)
    with pytest.raises(Conflict, match="about to be demoted"):
        promote(db, "kinds", PromotionRequest())
    states = [(one.share, one.ended_reason) for one in promotions_of(db, "kinds")]
    assert states == [(0.5, None), (0.1, "another promotion followed")]


def test_a_canary_without_shadows_is_refused(db: Connection[Any]) -> None:
    apply_feature(db, FEATURE.replace("shadow: {share: 0.5}\n", ""))
    evidence(db)
    with pytest.raises(Conflict, match="give it 'shadow"):
        promote(db, "kinds", PromotionRequest(share=0.1))
    assert not promote(db, "kinds", PromotionRequest()).watched
    for share in (0.0, 1.5, float("nan")):
        with pytest.raises(InvalidInput):
            promote(db, "kinds", PromotionRequest(share=share))


def test_by_hand_it_is_taken_back_once(db: Connection[Any]) -> None:
    evidence(db)
    promote(db, "kinds", PromotionRequest())
    made = demote(db, "kinds", "a new form")
    assert (made.feature_version, routed(db)) == (3, ("frontier_first", None))
    (kept,) = promotions_of(db, "kinds")
    assert (kept.ended_reason, kept.demoted_to) == ("a new form", 3)
    with pytest.raises(Conflict, match="begin on its last tier already"):
        demote(db, "kinds", "again")


def test_what_live_answers_refute_is_demoted_and_told_once(
    db: Connection[Any], pool: ConnectionPool[Any]
) -> None:
    db.execute(
        "INSERT INTO webhook_endpoints (id, account_id, url, events, secret)"
        " SELECT gen_random_uuid(), id, 'https://hooks.example.com/x', '{feature.demoted}', 's'"
        " FROM accounts"
    )
    db.execute(
        "INSERT INTO api_keys (account_id, prefix, digest, scopes)"
        " SELECT id, 'x', 'x', '{admin,operator}' FROM accounts"
    )
    evidence(db)
    promote(db, "kinds", PromotionRequest())
    compared(db, 40, 2)
    assert watch(pool) == 0
    compared(db, 60, 20)
    assert watch(pool) == 1
    assert watch(pool) == 0
    assert routed(db) == ("frontier_first", None)
    (kept,) = promotions_of(db, "kinds")
    assert "22 of 100 answers differ" in str(kept.ended_reason)
    deliveries = db.execute("SELECT event, convert_from(body, 'UTF8') FROM deliveries").fetchall()
    assert [event for event, _ in deliveries] == ["feature.demoted"]
    assert "22 of 100" in deliveries[0][1]
    with pytest.raises(Conflict, match="it was refuted since: 22 of 100"):
        promote(db, "kinds", PromotionRequest())


def test_another_model_under_the_same_name_is_demoted(
    db: Connection[Any], pool: ConnectionPool[Any]
) -> None:
    evidence(db)
    promote(db, "kinds", PromotionRequest())
    row = db.execute(
        "SELECT f.version_id, a.id FROM features f, accounts a WHERE f.name = 'kinds'"
    ).fetchone()
    assert row is not None
    for model, ended in (("small-1", 0), ("small-2", 1)):
        job = add_job(db, row[1], row[0], status="completed", completed_at="now")
        db.execute(
            "INSERT INTO calls (job_id, attempt, number, account_id, purpose, model,"
            " answered_model) VALUES (%s, 1, 1, %s, 'answer', 'openai:small', %s)",
            (job, row[1], model),
        )
        assert watch(pool) == ended
    (kept,) = promotions_of(db, "kinds")
    assert kept.ended_reason == (
        "calls to openai:small are answered by small-2, which was not evaluated; evaluated: small-1"
    )


def test_what_somebody_applies_by_hand_ends_it_and_changes_nothing(
    db: Connection[Any], pool: ConnectionPool[Any]
) -> None:
    evidence(db)
    promote(db, "kinds", PromotionRequest())
    apply_feature(db, FEATURE.replace("Name", "Tell").replace("frontier_first", "slm_first"))
    assert watch(pool) == 0 or routed(db) == ("slm_first", None)
    (kept,) = promotions_of(db, "kinds")
    assert "changed by hand" in str(kept.ended_reason)
    assert routed(db) == ("slm_first", None)


def test_of_promotions_and_demotions_at_once_each_stands_by_itself(
    db: Connection[Any], fresh_database_url: str
) -> None:
    evidence(db)
    failed: list[BaseException] = []

    def turn(up: bool) -> None:
        try:
            with psycopg.connect(fresh_database_url, autocommit=True) as connection:
                for _ in range(6):
                    try:
                        if up:
                            promote(connection, "kinds", PromotionRequest())
                        else:
                            demote(connection, "kinds", "in turn")
                    except Conflict:
                        pass
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=turn, args=(up,)) for up in (True, True, False, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert not failed
    kept = promotions_of(db, "kinds")
    open_ones = [one for one in kept if one.ended_at is None]
    assert len(open_ones) == (routed(db)[0] == "slm_first")
    versions = db.execute(
        "SELECT version FROM feature_versions WHERE name = 'kinds' ORDER BY version"
    ).fetchall()
    assert [one for (one,) in versions] == list(range(1, len(versions) + 1))


def test_no_wake_up_is_sent_inside_the_transaction_of_a_promotion_or_a_demotion(
    db: Connection[Any],
) -> None:
    evidence(db)
    with notifications_sent() as sent:
        promote(db, "kinds", PromotionRequest())
        assert routed(db) == ("slm_first", None)
        with db.transaction():
            assert demote_promoted(db, "kinds", "its inputs changed")
        assert routed(db) == ("frontier_first", None)
    assert [text for text, inside in sent if inside] == []
