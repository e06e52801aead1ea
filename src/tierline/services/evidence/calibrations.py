"""Calibrating a feature's tiers on their own outcomes, and the state of each calibration.

In a cascade of several calibrated tiers, each tier keeps the promised error rate among the answers
that it serves, so all of them together keep it. The risk of the promise, 1 - confidence, is split
evenly among the tiers.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from psycopg import Connection

from tierline.base.errors import Conflict, InvalidInput, NotEnoughData, NotFound, Problem
from tierline.base.formats import when
from tierline.base.json_text import JSON
from tierline.base.vectors import DIMENSIONS
from tierline.checks.labels import closed_set
from tierline.features import Feature, Tier
from tierline.routing.bounds import samples_needed
from tierline.routing.first_tier import share_of
from tierline.routing.judging import Terms, Trusted, labels_needed, terms
from tierline.routing.novelty import packed, unpacked
from tierline.routing.promise import FIT_SHARE, Outcome, Promise, promise
from tierline.routing.sampling import equally_drawn
from tierline.routing.threshold_search import confidence_of_attempt
from tierline.services.evidence.shadows import AT_ONCE, compare_open
from tierline.services.features.find_feature import current_feature, current_version
from tierline.services.steering.recipes import recipe_of
from tierline.storage.db.engine import allow_idle
from tierline.storage.evidence import calibrations
from tierline.storage.evidence.calibrations import ComparedOutcome, LabelledOutcome, OutcomeGroup
from tierline.storage.evidence.judgements import JudgedOutcome, people_said
from tierline.storage.evidence.shadows import watched

State = Literal["in_force", "nothing_promised", "superseded", "withdrawn", "of_another_version"]
Row = Mapping[str, Any]

EMBEDDED_SHARE = 0.9
"""The share of outcomes that need an embedding for a promise with the novelty check. An outcome has
no embedding if its worker could not compute one."""


@dataclass(frozen=True)
class CalibrationRequest:
    """The promise that is wanted."""

    max_error: float  # largest error rate among the served answers, 0 to 1
    confidence: float  # 0 to 1
    models: str | None = None  # the models that answered, as listed; None: those with most outcomes
    reference: Literal["model", "human"] = "model"  # decides which answers are wrong
    tier: str | None = None  # None: the first calibrated tier


def too_few(feature: str, found: int, missing: int) -> NotEnoughData:
    """The error for `found` outcomes, if at least `missing` more are needed for such a promise."""
    return NotEnoughData(
        f"not enough data: {found} new outcomes of {feature} have a reference, and at least "
        f"{missing} more are needed before such a promise can be tested",
        missing,
    )


class ExtraMissing(Conflict):
    """The libraries that calibrating needs are not installed where this runs."""


@dataclass(frozen=True)
class Watch:
    """Callbacks during a calibration. If one raises, nothing is stored."""

    progress: Callable[[str], None] = lambda _: None  # called with the name of each new phase
    keep: Callable[[Connection[Any], Mapping[str, JSON]], None] = lambda *_: None
    """Called with the calibration, within the transaction that stores it."""


def calibrate(
    connection: Connection[Any],
    name: str,
    wanted: CalibrationRequest,
    *,
    dry_run: bool = False,
    enough: bool = False,
    watch: Watch | None = None,
) -> dict[str, JSON]:
    """Search for the threshold that keeps the promise, and put it in force.

    It uses up its outcomes: the next calibration needs new ones. If nothing can be promised, the
    outcomes are used up too, and that result is in force: all answers escalate. With `dry_run`
    nothing is tested or used up, and the result shows the available data. With `enough` as well, it
    raises if the data are too few. Raises NotFound, InvalidInput, NotEnoughData, Conflict.
    """
    need_libraries()
    watch = watch or Watch()
    watch.progress("comparing")
    feature, tier = _calibrated_tier(connection, name, wanted.tier)
    made_by = recipe_of(connection, feature, tier)
    while compare_open(connection, made_by) == AT_ONCE:
        pass
    watch.progress("reading")
    with connection.transaction():
        if not dry_run:
            calibrations.lock_recipe(connection, made_by)
        group = _group(calibrations.groups(connection, made_by), wanted.models)
        attempt = 1 if group is None else group.attempts + 1
        rows = [] if group is None else _rows(connection, feature, made_by, group, wanted)
        own_confidence = share_of_risk(feature, wanted.confidence)
        judge = _judge(connection, feature, made_by, group, wanted)
        shown = _shown(
            feature, judge, wanted.max_error, own_confidence, dry_run=dry_run and not enough
        )
        missing = _least(shown.max_error, shown.confidence, attempt) - len(rows)
        if dry_run and not (enough and missing > 0):
            return {
                "feature": name,
                "tier": tier.name,
                "models": None if group is None else group.models,
                "reference": wanted.reference,
                "outcomes": len(rows),
                "missing": max(0, missing),
                "reference_models": _reference_models(rows),
                "attempt": attempt,
                "judge": _judge_json(feature, judge, own_confidence),
            }
        if group is None or missing > 0:
            raise too_few(name, len(rows), max(1, missing))
        confidence = feature.confidence_of(tier)
        assert confidence is not None, "the tier is calibrated"
        allow_idle(connection)  # the recipe stays locked during the threshold search
        outcomes = _outcomes(feature, rows)
        watch.progress("testing")
        found = promise(
            outcomes,
            confidence.signal,
            shown.max_error,
            shown.confidence,
            attempt,
        )
        if found.found.missing is not None:
            more = max(1, math.ceil(found.found.missing / (1.0 - FIT_SHARE)))
            raise too_few(name, len(rows), more)
        row = calibrations.add_calibration(
            connection,
            {
                "feature": name,
                "tier": tier.name,
                "recipe": made_by,
                "fingerprint": group.fingerprint,
                "models": group.models,
                "attempt": attempt,
                "reference": wanted.reference,
                "reference_models": _reference_models(rows),
                "max_error": wanted.max_error,
                "confidence": wanted.confidence,
                "first_seq": rows[0].seq,
                "last_seq": rows[-1].seq,
                **columns_of(found, judge=_judge_json(feature, judge, own_confidence)),
            },
        )
        if wanted.reference == "human":
            calibrations.use_labels(connection, rows, row["id"])
        state: State = "in_force" if row["threshold"] is not None else "nothing_promised"
        made = calibration_json(row, state)
        watch.keep(connection, made)
    return made


def draw_for_labels(
    connection: Connection[Any],
    name: str,
    count: int,
    models: str | None = None,
    account_id: int | None = None,
    tier_name: str | None = None,
) -> list[dict[str, JSON]]:
    """Draw up to `count` outcomes at random for people to label, and record that they were drawn.
    From one account's jobs, or from all.

    All have the same probability of being drawn, so a bound can use their labels. The tier's answer
    is not shown, since it would influence the person who labels. Free text is the exception: there
    the person must see the answer to say whether it is right. Raises NotFound, Conflict,
    InvalidInput.
    """
    feature, tier = _calibrated_tier(connection, name, tier_name)
    made_by = recipe_of(connection, feature, tier)
    while compare_open(connection, made_by) == AT_ONCE:
        pass
    with connection.transaction():
        calibrations.lock_recipe(connection, made_by)
        group = _group(calibrations.groups(connection, made_by), models)
        if group is None:
            return []
        rows = equally_drawn(
            calibrations.to_label(connection, made_by, group.fingerprint, account_id)
        )
        rows.sort(key=lambda row: share_of("label", str(row.job_id)))
        calibrations.ask_for_labels(connection, rows[:count])
    judged = feature.compared_by.kind == "judge"
    return [
        {
            "job_id": str(row.job_id),
            "input": row.input,
            **({"answer": row.output} if judged else {}),
        }
        for row in rows[:count]
    ]


def calibrations_of(connection: Connection[Any], name: str) -> list[dict[str, JSON]]:
    """All calibrations of a feature, newest first. Raises NotFound."""
    feature = current_feature(connection, name)
    now = {tier.name: recipe_of(connection, feature, tier) for tier in feature.allowed_tiers()}
    return [
        calibration_json(row, state_of(row, now.get(row["tier"])), watched(connection, row["id"]))
        for row in calibrations.list_calibrations(connection, name)
    ]


def withdraw(connection: Connection[Any], name: str, id: int, reason: str) -> dict[str, JSON]:
    """Withdraw a calibration. Within seconds, answers that it would serve escalate instead. Raises
    NotFound.
    """
    row = calibrations.withdraw(connection, name, id, reason)
    if row is None:
        raise NotFound(f"the feature {name[:80]!r} has no calibration {id}")
    return calibration_json(row, "withdrawn", watched(connection, id))


def calibration_json(row: Row, state: State, watched: tuple[int, int] = (0, 0)) -> dict[str, JSON]:
    """A calibration as the API shows it. `watched`: its shadow samples so far, and how many of them
    differ.
    """
    document = row["document"]
    served, samples = row["served"], row["samples"]
    return {
        "id": str(row["id"]),
        "feature": row["feature"],
        "tier": row["tier"],
        "state": state,
        "models": row["models"],
        "attempt": row["attempt"],
        "reference": row["reference"],
        "reference_models": list(row["reference_models"]),
        "max_error": row["max_error"],
        "confidence": row["confidence"],
        "tested_at": document["tested_at"],
        "threshold": row["threshold"],
        "samples": samples,
        "served": served,
        "errors": row["errors"],
        "bound": row["bound"],
        "coverage": 0.0 if served is None else served / samples,
        "fitted": document["fitted"],
        "signals": sorted(document["combination"]["terms"]) if document["learned"] else [],
        "why_not_learned": document["why_not"],
        "judge": document.get("judge"),
        "least_likeness": document.get("least_likeness"),
        "novel": document.get("novel", 0),
        "tested": document["tested"],
        "by_label": [{"label": name, **seen} for name, seen in document["by_label"].items()],
        "shadow_samples": watched[0],
        "shadow_errors": watched[1],
        "created_at": when(row["created_at"]),
        "withdrawn_at": when(row["withdrawn_at"]),
        "withdrawn_reason": row["withdrawn_reason"],
    }


def need_libraries() -> None:
    """Raises ExtraMissing if the libraries for a calibration are not installed."""
    try:
        import scipy.special  # noqa: F401
        import sklearn.linear_model  # noqa: F401
    except ImportError:
        raise ExtraMissing(
            "calibrating needs scipy and scikit-learn where the API runs: install the extra "
            "'routing' by 'make setup'"
        ) from None


def _calibrated_tier(
    connection: Connection[Any], name: str, wanted: str | None
) -> tuple[Feature, Tier]:
    version = current_version(connection, name)
    feature = version.read()
    tiers = _calibrated_tiers(feature)
    if not tiers:
        raise Conflict(
            f"version {version.version} of {name} has no calibrated confidence: give it "
            "'confidence: {signal: …, threshold: calibrated}' and apply it; its jobs then escalate "
            "and are recorded as outcomes to calibrate on"
        )
    if wanted is None:
        return feature, tiers[0]
    for tier in tiers:
        if tier.name == wanted:
            return feature, tier
    known = ", ".join(tier.name for tier in tiers)
    raise InvalidInput(
        [Problem(f"is not a calibrated tier of {name}; those are: {known}", "/tier")]
    )


def _calibrated_tiers(feature: Feature) -> list[Tier]:
    return [
        tier
        for tier in feature.allowed_tiers()
        if (confidence := feature.confidence_of(tier)) is not None and confidence.calibrated
    ]


def share_of_risk(feature: Feature, confidence: float) -> float:
    """The confidence at which each calibrated tier is tested, so that all together reach
    `confidence`.
    """
    return 1.0 - (1.0 - confidence) / len(_calibrated_tiers(feature))


def _group(groups: Sequence[OutcomeGroup], models: str | None) -> OutcomeGroup | None:
    """The outcomes of one fingerprint: of the named models, or of those with most new outcomes."""
    if models is None:
        return groups[0] if groups else None
    for group in groups:
        if group.models == models:
            return group
    known = "; ".join(group.models for group in groups[:5]) or "none yet"
    raise InvalidInput([Problem(f"no outcome is from these models; known: {known}", "/models")])


def _least(max_error: float, confidence: float, attempt: int) -> int:
    """How many outcomes are needed if all of them are served and right."""
    tested = samples_needed(max_error, confidence_of_attempt(attempt, confidence))
    assert tested is not None, "enough samples without errors prove any bound"
    return math.ceil(tested / (1.0 - FIT_SHARE))


def _rows(
    connection: Connection[Any],
    feature: Feature,
    made_by: str,
    group: OutcomeGroup,
    wanted: CalibrationRequest,
) -> list[ComparedOutcome]:
    """The outcomes, with `differs` according to the reference. Raises Conflict if drawn outcomes
    have no label yet.
    """
    if wanted.reference == "model":
        return equally_drawn(
            calibrations.outcomes(connection, made_by, group.fingerprint, group.last_seq)
        )
    said = calibrations.labelled(connection, made_by, group.fingerprint)
    wrong = [_wrong(feature, row) for row in said]
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
            vector=row.vector,
            output=row.output,
        )
        for row, differs in zip(said, wrong, strict=True)
    ]
    return equally_drawn(rows)


def _wrong(feature: Feature, row: LabelledOutcome | JudgedOutcome) -> bool | None:
    """Whether the tier's answer is wrong according to people; None: their feedback does not say."""
    how = feature.compared_by
    if row.has_expected:
        return not how.same(row.output, row.expected)
    if row.correct is None or not row.has_served_output:
        return None
    if how.same(row.output, row.served_output):
        return not row.correct
    # The tier's answer is not the served one. If the served one is right, the tier's is wrong,
    # except in free text, where both may be right. If the served one is wrong, nothing is known.
    return True if row.correct and how.kind != "judge" else None


def _judge(
    connection: Connection[Any],
    feature: Feature,
    made_by: str,
    group: OutcomeGroup | None,
    wanted: CalibrationRequest,
) -> Trusted | None:
    """How well people's labels confirm the judge. None if the promise does not use a judge. Raises
    Conflict if drawn outcomes have no label yet.
    """
    if wanted.reference == "human" or feature.compared_by.kind != "judge":
        return None
    if group is None:
        return Trusted(0, 0)
    rows = equally_drawn(people_said(connection, made_by, group.fingerprint))
    wrong = [_wrong(feature, row) for row in rows]
    _refuse_unlabelled(wrong)
    return Trusted(len(wrong), sum(one is True for one in wrong))


def _shown(
    feature: Feature, judge: Trusted | None, max_error: float, confidence: float, *, dry_run: bool
) -> Terms:
    """The error rate and confidence to test on the compared answers. Raises Conflict if the judge
    has too few labels for any such promise.
    """
    if judge is None:
        return Terms(max_error, confidence)
    found = terms(judge, max_error, confidence)
    if found is None and not dry_run:
        needed = labels_needed(max_error, confidence)
        raise Conflict(
            f"no promise can be based on the judge {feature.compared_by.model}: people labelled "
            f"{judge.samples} answers of {feature.name} that it held to be the same, and "
            f"{judge.wrong} of them were wrong. About {needed} such labels are needed, all of them "
            "right: draw them with 'tierline feedback sample'"
        )
    return found or Terms(max_error, confidence)


def _judge_json(feature: Feature, judge: Trusted | None, confidence: float) -> JSON:
    if judge is None:
        return None
    return {
        "model": feature.compared_by.model,
        "samples": judge.samples,
        "wrong": judge.wrong,
        "missed": judge.missed(confidence),
    }


def _refuse_unlabelled(wrong: Sequence[bool | None]) -> None:
    without = sum(one is None for one in wrong)
    if without:
        raise Conflict(
            f"{without} of the {len(wrong)} outcomes that were drawn for a label have none yet: "
            "label all of them, because the easy ones alone are not a random sample"
        )


def _outcomes(feature: Feature, rows: Sequence[ComparedOutcome]) -> list[Outcome]:
    """The outcomes with their inputs' embeddings, if nearly all have one. Those without one are
    then excluded.
    """
    labels = closed_set(feature.output_schema)
    embedded = [row for row in rows if row.vector is not None]
    novelty = len(embedded) >= EMBEDDED_SHARE * len(rows)
    return [
        Outcome(
            key=str(row.job_id),
            signals=row.signals,
            wrong=row.differs,
            label=None if labels is None or row.output is None else labels.unwrap(row.output),
            vector=unpacked(row.vector, DIMENSIONS)[0]
            if novelty and row.vector is not None
            else None,
        )
        for row in (embedded if novelty else rows)
    ]


def _reference_models(rows: Sequence[ComparedOutcome]) -> list[str]:
    return sorted({row.reference_by for row in rows if row.reference_by is not None})


def columns_of(found: Promise, judge: JSON = None) -> dict[str, Any]:
    """The columns of a calibration's row for a promise and its judge."""
    chosen = found.found.chosen
    seen = (
        dict.fromkeys(("threshold", "served", "errors", "bound"))
        if chosen is None
        else {
            "threshold": chosen.threshold,
            "served": chosen.served,
            "errors": chosen.errors,
            "bound": chosen.bound,
        }
    )
    return {
        **seen,
        "samples": found.found.samples,
        "document": found.to_dict() | {"judge": judge},
        "vectors": None if found.known is None else packed(found.known.examples),
    }


def state_of(row: Row, made_by: str | None) -> State:
    """The state of a calibration. `made_by`: the current recipe of its tier."""
    if row["withdrawn_at"] is not None:
        return "withdrawn"
    if row["recipe"] != made_by:
        return "of_another_version"
    if not row["newest"]:
        return "superseded"
    return "in_force" if row["threshold"] is not None else "nothing_promised"
