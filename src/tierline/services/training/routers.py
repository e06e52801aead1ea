"""Training data for routers, and training a router."""

from collections.abc import Sequence
from typing import Any

from psycopg import Connection

from tierline.base.errors import Conflict, InvalidInput, NotEnoughData, Problem
from tierline.features import Feature, Tier
from tierline.features.prompts import input_text
from tierline.routing.before_call import is_routed
from tierline.routing.learned.trained import from_parts
from tierline.routing.thresholds.combination import CannotLearn
from tierline.routing.thresholds.fingerprint import recipe
from tierline.services.features.find_feature import current_feature
from tierline.services.operations.work import Work
from tierline.services.training.artefacts import (
    ROUTERS,
    Trained,
    keep,
    sha256_of,
)
from tierline.services.training.embedding import embedded
from tierline.services.training.router_rows import router_rows
from tierline.views.training.steering import Router, TrainingRow


def training_data(
    connection: Connection[Any], name: str, account_id: int | None = None
) -> list[TrainingRow]:
    """The inputs that the feature's first tier answered, each with whether the answer was right.
    From one account's jobs, or from all.

    Raises NotFound, Conflict.
    """
    feature, tier = routed_tier(connection, name)
    return router_rows(connection, feature, tier, account_id)


def train(work: Work) -> None:
    """Train a router on the feature's labelled log. Stores it unless `dry_run` is set.

    Options: `embeddings`, `dry_run`. Raises NotFound, Conflict, NotEnoughData, Superseded.
    """
    from tierline.routing.learned.router_training import LoggedRows, learn_router, refuse_too_few
    from tierline.routing.learned.trained import to_parts

    work.progress("reading")
    with work.pool.connection() as connection:
        feature, tier = routed_tier(connection, work.feature)
        rows = router_rows(connection, feature, tier, work.readable_account_id)
    assert feature.complexity is not None, "routed_tier refuses others"
    right = [row.right for row in rows]
    texts = [input_text(row.input) for row in rows]
    try:
        refuse_too_few(feature.name, right)
        vectors = embedded(work, texts) if work.options["embeddings"] else None
        lesson = learn_router(
            LoggedRows(
                *(texts, right, vectors),
                [row.step_usd for row in rows],
                [row.stands_for for row in rows],
            ),
            feature.complexity.max_risk,
            lambda done, of: work.progress("learning", done, of),
        )
    except CannotLearn as error:
        raise NotEnoughData(f"not enough data: {error}") from None
    document, packed = to_parts(lesson.router)
    trained = Trained(len(rows), sum(right), _sha256_of(rows), lesson.quality, document, packed)
    made = None
    with work.pool.connection() as connection, connection.transaction():
        if not work.options["dry_run"]:
            made_for = recipe(feature, tier)
            row = keep(connection, ROUTERS, feature.name, made_for, trained, "server")
            made = Router.model_validate(row)
        work.complete(connection, trained.result(router=made))


def add_uploaded(connection: Connection[Any], name: str, trained: Trained) -> Router:
    """Store a router that a client trained. Raises NotFound, Conflict, and InvalidInput if the
    document is not a router.
    """
    feature, tier = routed_tier(connection, name)
    try:
        from_parts(trained.document, trained.vectors)
    except ImportError:
        raise Conflict(
            "a router with embeddings needs the extra 'routing' where the API runs: install it by "
            "'make setup'"
        ) from None
    except ValueError as error:
        raise InvalidInput([Problem(str(error), "/document")]) from None
    row = keep(connection, ROUTERS, name, recipe(feature, tier), trained, "client")
    return Router.model_validate(row)


def routed_tier(connection: Connection[Any], name: str) -> tuple[Feature, Tier]:
    """The feature and the first tier, the one that a router decides about. Raises NotFound,
    Conflict.
    """
    feature = current_feature(connection, name)
    tier = feature.allowed_tiers()[0]
    if not is_routed(feature, tier):
        raise Conflict(
            f"{name} does not route by complexity: add 'complexity: {{max_risk: 0.5}}' to its file "
            "and apply it"
        )
    return feature, tier


def _sha256_of(rows: Sequence[TrainingRow]) -> str:
    return sha256_of([row.model_dump(mode="json") for row in rows])
