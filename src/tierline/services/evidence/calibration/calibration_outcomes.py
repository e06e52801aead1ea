"""The outcomes that a calibration is made from, and the sample of them that people label."""

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

from psycopg import Connection

from tierline.base.errors import Conflict, InvalidInput, Problem
from tierline.base.vectors import DIMENSIONS
from tierline.checks.labels import closed_set
from tierline.features import Feature
from tierline.routing.confidence_gate import is_compared
from tierline.routing.first_tier import share_of
from tierline.routing.learned.novelty import unpacked
from tierline.routing.thresholds.judging import Trusted
from tierline.routing.thresholds.promise import Outcome, fits_scores_by_job
from tierline.routing.thresholds.sampling import equally_drawn
from tierline.services.evidence.calibration.calibrated_tiers import compared_tier
from tierline.services.evidence.labels.label_outcomes import draw_ended
from tierline.services.evidence.labels.label_verdicts import is_wrong
from tierline.services.evidence.watch.shadows import AT_ONCE, compare_open
from tierline.services.steering.recipes import recipe_of
from tierline.storage.evidence import calibrations, outcome_labels, outcomes, reviews
from tierline.storage.evidence.judgements import judged_same
from tierline.storage.evidence.outcome_labels import EndedJob, UnlabelledOutcome
from tierline.storage.evidence.outcomes import ComparedOutcome, OutcomeGroup
from tierline.views.evidence.calibrations import OutcomeToLabel

ReferenceBy = Literal["model", "human"]  # decides which answers are wrong

EMBEDDED_SHARE = 0.9
"""The share of outcomes that need an embedding for a promise with the novelty check. An outcome has
no embedding if its worker could not compute one."""


def draw_for_labels(
    connection: Connection[Any],
    name: str,
    count: int,
    models: str | None = None,
    account_id: int | None = None,
    tier_name: str | None = None,
    *,
    second_share: float = 0.0,
    only_new: bool = False,
) -> list[OutcomeToLabel]:
    """Draw up to `count` outcomes at random for people to label, and record that they were drawn.
    From one account's jobs, or from all. They stand in the queue of the console's page Review;
    `second_share` of them twice, for two people.

    All have the same probability of being drawn, so a bound can use their labels. The tier's answer
    is not shown, since it would influence the person who labels. Free text is the exception: there
    the person must see the answer to say whether it is right.

    If the feature records no outcomes, its ended jobs are drawn from, and their outcomes are made
    now (`label_outcomes`). They may be drawn again until they have a label, unless `only_new` is
    set. Raises NotFound, InvalidInput.
    """
    feature, tier = compared_tier(connection, name, tier_name)
    if not is_compared(feature, tier):
        with connection.transaction():
            jobs = draw_ended(
                connection, feature, tier, count, account_id=account_id, only_new=only_new
            )
            ask_people(connection, [row.job_id for row in jobs], "sample", second_share)
        return _to_label(feature, jobs)
    made_by = recipe_of(connection, feature, tier)
    compare_all(connection, made_by)
    with connection.transaction():
        calibrations.lock_recipe(connection, made_by)
        group = choose_group(outcomes.groups(connection, made_by), models)
        if group is None:
            return []
        rows = equally_drawn(
            outcome_labels.to_label(connection, made_by, group.fingerprint, account_id)
        )
        rows.sort(key=lambda row: share_of("label", str(row.job_id)))
        outcome_labels.ask_for_labels(connection, rows[:count])
        reviews.ask_for_earlier(connection, name)
        ask_people(connection, [row.job_id for row in rows[:count]], "sample", second_share)
    return _to_label(feature, rows[:count])


def ask_people(
    connection: Connection[Any],
    jobs: Sequence[UUID],
    source: Literal["sample", "filter"],
    second_share: float,
) -> int:
    """Put these jobs into the queue of answers to label, `second_share` of them for two people.
    Returns how many labels are new in it. Safe to repeat.
    """
    twice = {one for one in jobs if share_of("second label", str(one)) < second_share}
    return reviews.ask(connection, jobs, twice, source) if jobs else 0


def _to_label(
    feature: Feature, rows: Sequence[UnlabelledOutcome | EndedJob]
) -> list[OutcomeToLabel]:
    judged = feature.compared_by.kind == "judge"
    return [
        OutcomeToLabel(job_id=row.job_id, input=row.input, answer=row.output)
        if judged
        else OutcomeToLabel(job_id=row.job_id, input=row.input)
        for row in rows
    ]


def compare_all(connection: Connection[Any], recipe: str) -> None:
    """Compare the recipe's outcomes whose reference has arrived."""
    while compare_open(connection, recipe) == AT_ONCE:
        pass


def choose_group(groups: Sequence[OutcomeGroup], models: str | None) -> OutcomeGroup | None:
    """The outcomes of one fingerprint: of the named models, or of those with most new outcomes.
    None: there is no outcome. Raises InvalidInput.
    """
    if models is None:
        return groups[0] if groups else None
    for group in groups:
        if group.models == models:
            return group
    choices = "; ".join(group.models for group in groups[:5]) or "none yet"
    raise InvalidInput([Problem(f"no outcome is from these models; known: {choices}", "/models")])


def compared_outcomes(
    connection: Connection[Any],
    feature: Feature,
    recipe: str,
    group: OutcomeGroup,
    reference: ReferenceBy,
) -> list[ComparedOutcome]:
    """The group's outcomes that no calibration has used, compared with the reference. Raises
    Conflict if outcomes that were drawn for a label have none yet.
    """
    if reference == "model":
        return equally_drawn(
            outcomes.compared(connection, recipe, group.fingerprint, group.last_seq)
        )
    labelled = outcome_labels.labelled(connection, recipe, group.fingerprint)
    wrong = [is_wrong(feature.compared_by, row) for row in labelled]
    _refuse_unlabelled(wrong)
    rows = [
        ComparedOutcome(
            seq=row.seq,
            job_id=row.job_id,
            attempt=row.attempt,
            signals=row.signals,
            inclusion=row.inclusion,
            served=row.served,
            differs=differs is True,
            reference_by=None,
            fits_scores=row.fits_scores,
            vector=row.vector,
            output=row.output,
        )
        for row, differs in zip(labelled, wrong, strict=True)
    ]
    return equally_drawn(rows)


def judge_confirmed_by_people(
    connection: Connection[Any], feature: Feature, recipe: str, group: OutcomeGroup | None
) -> Trusted:
    """How well people's labels confirm the judge. Raises Conflict if outcomes that were drawn for a
    label have none yet.
    """
    if group is None:
        return Trusted(0, 0)
    rows = equally_drawn(judged_same(connection, recipe, group.fingerprint))
    wrong = [is_wrong(feature.compared_by, row) for row in rows]
    _refuse_unlabelled(wrong)
    return Trusted(len(wrong), sum(one is True for one in wrong))


def _refuse_unlabelled(wrong: Sequence[bool | None]) -> None:
    without = sum(one is None for one in wrong)
    if without:
        raise Conflict(
            f"{without} of the {len(wrong)} outcomes that were drawn for a label have none yet: "
            "label all of them, because the easy ones alone are not a random sample"
        )


def with_embeddings(feature: Feature, rows: Sequence[ComparedOutcome]) -> list[Outcome]:
    """The outcomes with their inputs' embeddings, if nearly all have one. Those without one are
    then excluded.
    """
    labels = closed_set(feature.output_schema)
    embedded = [row for row in rows if row.vector is not None]
    novelty = len(embedded) >= EMBEDDED_SHARE * len(rows)
    return [
        Outcome(
            fits_scores=fits_scores_by_job(row.job_id)
            if row.fits_scores is None
            else row.fits_scores,
            signals=row.signals,
            wrong=row.differs,
            label=None if labels is None or row.output is None else labels.unwrap(row.output),
            vector=unpacked(row.vector, DIMENSIONS)[0]
            if novelty and row.vector is not None
            else None,
        )
        for row in (embedded if novelty else rows)
    ]


def reference_models(rows: Sequence[ComparedOutcome]) -> list[str]:
    """The models whose answers they were compared with."""
    return sorted({row.reference_by for row in rows if row.reference_by is not None})
