"""The JSON that the API gives and takes, as OpenAPI components, and how a route refers to them.

Written by hand, because what is given comes from `tierline.views` and not from models; a test holds
each against real answers.
"""

from collections.abc import Mapping
from typing import Any

from api.problems import SCHEMA as PROBLEM
from tierline.base.json_text import JSON
from tierline.rules.roles import SCOPES
from tierline.rules.verdicts import Verdict
from tierline.views.jobs import JOB_CONTENT

Schema = Mapping[str, Any]


def _nullable(kind: str, **more: Any) -> Schema:
    return {"type": [kind, "null"], **more}


def _object(required: tuple[str, ...] | None = None, /, **properties: Schema) -> Schema:
    """An object that has all of its properties, unless `required` names fewer."""
    named = {name.removesuffix("_"): schema for name, schema in properties.items()}
    return {
        "type": "object",
        "required": list(named if required is None else required),
        "properties": named,
    }


def _list(item: str) -> Schema:
    return _object(
        data={"type": "array", "items": ref(item)},
        next_cursor=_nullable("string", description="pass it as ?cursor=; null: the last page"),
    )


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT: Schema = {"type": "string"}
_INT: Schema = {"type": "integer"}
_BOOL: Schema = {"type": "boolean"}
_STORABLE = "^[^\\x00]*$"
_NUMBER: Schema = {"type": "number"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_WHEN = _nullable("string", format="date-time")
_USD: Schema = {"type": "string", "description": "USD, a decimal", "examples": ["0.00042"]}
_ANY: Schema = {}
_STATUS: Schema = {
    "type": "string",
    "enum": ["queued", "in_progress", "completed", "failed", "cancelled", "expired"],
}
_UNKNOWN: Schema = {"type": "integer", "description": "calls whose cost nobody knows"}

_RUNG: Schema = {"type": "string", "enum": ["ship", "default"]}
_PROMOTION: Mapping[str, Schema] = {
    "id": _TEXT,
    "feature": _TEXT,
    "tier": _TEXT,
    "evaluation": _TEXT,
    "rung": _RUNG,
    "share": {"type": "number", "description": "of the jobs that begin on the tier"},
    "feature_version": {"type": "integer", "description": "that it made"},
    "most_differing": {
        "type": "number",
        "description": "share of its answers that may differ from the last tier's",
    },
    "created_at": _TIME,
    "ended_at": _WHEN,
    "ended_reason": _nullable("string"),
    "demoted_to": _nullable("integer", description="the version that took it back"),
    "compared": _nullable("integer", description="answers, since then; null: it has ended"),
    "differing": _nullable("integer", description="of those"),
}
_MICRO_MODEL: Mapping[str, Schema] = {
    "id": _TEXT,
    "model": {"type": "string", "description": "as attempts name it"},
    "feature": _TEXT,
    "rows": {"type": "integer", "description": "that it was trained on"},
    "right_rows": {"type": "integer", "description": "of those, by one not fitted on them"},
    "data_sha256": _TEXT,
    "quality": {"type": "object"},
    "trained_at": _TIME,
    "withdrawn_at": _WHEN,
}

_USAGE = _object(
    input_tokens=_nullable("integer", description="neither read from a cache nor written to one"),
    cached_input_tokens=_nullable("integer", description="input read from a cache"),
    cache_write_5m_tokens=_nullable("integer", description="input kept for five minutes"),
    cache_write_1h_tokens=_nullable("integer", description="input kept for an hour"),
    output_tokens=_nullable("integer", description="without the reasoning ones"),
    reasoning_tokens=_nullable(
        "integer", description="null: not told, or counted as output by the provider"
    ),
)

_KEY = _object(
    id=_INT,
    account=_TEXT,
    name=_TEXT,
    prefix={"type": "string", "description": "the key's first characters"},
    scopes={"type": "array", "items": {"type": "string", "enum": list(SCOPES)}},
    created_at=_TIME,
    expires_at=_WHEN,
    revoked_at=_WHEN,
    last_used_at=_WHEN,
    replaced_by=_nullable("integer", description="the key that a rotation put in its place"),
)

_JOB: dict[str, Schema] = {
    "id": {"type": "string", "format": "uuid"},
    "feature": _TEXT,
    "feature_version": _INT,
    "status": _STATUS,
    "status_label": _nullable(
        "string",
        description="the words to show a person while it goes on",
        examples=["running deeper analysis…"],
    ),
    "tier": {"type": "string", "description": "where it is, or ended"},
    "model": _nullable("string", description="the exact model whose answer is served"),
    "output": {"description": "the answer; null until completed, and once it was removed"},
    "unverified": {"type": "boolean", "description": "served although it failed a check"},
    "blocked_reason": _nullable(
        "string", description="why no later tier was asked; null: it was not so"
    ),
    "error": {"oneOf": [_object(code=_TEXT, message=_TEXT), {"type": "null"}]},
    "cost_usd": _USD,
    "unknown_cost_calls": _UNKNOWN,
    "usage": _USAGE,
    "metadata": _nullable("object"),
    "user": _nullable("string"),
    "session": _nullable("string"),
    "batch_id": _nullable("string", format="uuid"),
    "custom_id": _nullable("string"),
    "created_at": _TIME,
    "started_at": _WHEN,
    "completed_at": _WHEN,
    "input_removed_at": {**_WHEN, "description": "its input is kept no more, since then"},
    "output_removed_at": {**_WHEN, "description": "its answers are kept no more, since then"},
    "escalated": _BOOL,
    "escalation_reason": _nullable("string"),
    "attempts_url": _TEXT,
}

_FEATURE: Schema = {
    "name": _TEXT,
    "description": _TEXT,
    "routing": _TEXT,
    "tiers": {
        "type": "array",
        "items": _object(name=_TEXT, models={"type": "array", "items": _TEXT}),
    },
    "applied_at": _WHEN,
}

_ID: Schema = {"type": "string", "format": "uuid"}
_ENDPOINT = _object(
    id=_ID,
    url=_TEXT,
    description=_TEXT,
    events={"type": "array", "items": _TEXT, "description": "empty: all of them"},
    include={"type": "array", "items": _TEXT, "description": "of: output"},
    max_in_flight={"type": "integer", "description": "deliveries on their way to it at once"},
    batch_rows={**_BOOL, "description": "hears of each row of a batch too"},
    warning=_nullable("string", description="what will stop working; null: nothing"),
    disabled=_BOOL,
    disabled_at=_WHEN,
    disabled_reason=_nullable("string"),
    old_secret_until={**_WHEN, "description": "the secret before signs too, until then"},
    created_at=_TIME,
)

COMPONENTS: Mapping[str, Schema] = {
    "Problem": PROBLEM,
    "Json": {
        "description": "any JSON value without a NUL character, which cannot be stored",
        "anyOf": [
            {"type": ["null", "boolean", "number"]},
            {"type": "string", "pattern": _STORABLE},
            {"type": "array", "items": ref("Json")},
            {
                "type": "object",
                "propertyNames": {"pattern": _STORABLE},
                "additionalProperties": ref("Json"),
            },
        ],
    },
    "NewJob": {
        **_object(
            ("feature", "input"),
            feature={"type": "string", "description": "an applied feature's name"},
            input={**ref("Json"), "description": "fits the feature's input schema"},
            metadata=_nullable("object", description="given back with the job; at most 16 KiB"),
            webhook_url=_nullable("string", format="uri", description="told of the job's events"),
            user=_nullable("string", minLength=1, maxLength=255),
            session=_nullable("string", minLength=1, maxLength=255),
            deadline_s=_nullable(
                "number", exclusiveMinimum=0, maximum=2592000, description="not worth having after"
            ),
        ),
        "additionalProperties": False,
    },
    "NewDraftJob": {
        **_object(input={**ref("Json"), "description": "fits the draft's input schema"}),
        "additionalProperties": False,
    },
    "Job": _object(tuple(_JOB), **_JOB),
    "JobState": {
        **_object(
            tuple(name for name in _JOB if name not in JOB_CONTENT),
            **{
                **_JOB,
                "error": {
                    "oneOf": [
                        _object(("code",), code=_TEXT, message=_TEXT),
                        {"type": "null"},
                    ]
                },
            },
        ),
        "description": "A job. To a key without the scope read it is without "
        f"{', '.join(JOB_CONTENT)} and without the error's message.",
    },
    "JobPage": _list("Job"),
    "Attempt": _object(
        number=_INT,
        tier=_TEXT,
        queue=_TEXT,
        model=_nullable("string"),
        verdict=_nullable(
            "string",
            description=f"null while it runs; one of {', '.join(Verdict)}, or a later release's",
        ),
        reason=_nullable("string"),
        repaired=_nullable("boolean"),
        confidence=_nullable("number"),
        routing={"description": "policy, choice, reason, signals: why this tier"},
        answer=_nullable("string", description="as the model gave it"),
        output={"description": "as it was understood, whether or not it passed"},
        output_removed_at={**_WHEN, "description": "the answer is kept no more, since then"},
        trace={
            "type": ["array", "null"],
            "description": "of a draft's job: each answered call's prompt and what came",
            "items": ref("Said"),
        },
        cost_usd=_USD,
        unknown_cost_calls=_UNKNOWN,
        latency_s=_nullable("number"),
        started_at=_TIME,
        ended_at=_WHEN,
        worker=_TEXT,
        calls={"type": "array", "items": ref("Call")},
    ),
    "AttemptList": _list("Attempt"),
    "Decision": _object(
        job_id=_ID,
        account=_TEXT,
        feature=_TEXT,
        feature_version=_INT,
        attempt=_nullable("integer", description="that it led to; null: none yet"),
        at=_TIME,
        policy=_nullable("string", description="slm_first, pinned, canary, …"),
        choice={"type": "string", "description": "the tier"},
        reason=_nullable("string"),
        signals={"type": "object", "description": "what the policy looked at"},
        threshold=_nullable("number", description="what a signal was held against"),
        model=_nullable("string"),
        verdict=_nullable("string"),
        verdict_reason=_nullable("string"),
        confidence=_nullable("number"),
        calibration_id=_nullable("string", description="whose threshold the confidence met"),
        confidence_threshold=_nullable("number", description="… and what that was"),
        confidence_signals={
            "type": ["object", "null"],
            "description": "of an answer whose confidence is calibrated",
        },
        outcome=_nullable(
            "string", description="served, escalated, tried_again, failed, …; null: still open"
        ),
    ),
    "DecisionPage": _list("Decision"),
    "OutcomeCount": _object(
        feature=_TEXT,
        tier=_TEXT,
        models=_nullable("string", description="who answered; null: no outcome yet"),
        reference={"type": "string", "enum": ["model", "human"]},
        outcomes={"type": "integer", "description": "new ones that have a reference"},
        missing={"type": "integer", "description": "more that are needed at the very least"},
        reference_models={"type": "array", "items": _TEXT},
        attempt={"type": "integer", "description": "the next calibration's, from 1"},
        judge=_nullable("object", description="who says what differs; null: the comparison alone"),
    ),
    "Calibration": _object(
        id=_TEXT,
        feature=_TEXT,
        tier=_TEXT,
        state={
            "type": "string",
            "enum": [
                *("in_force", "nothing_promised", "superseded", "withdrawn"),
                "of_another_version",
            ],
        },
        models={"type": "string", "description": "who answered: it holds for no other"},
        attempt={"type": "integer", "description": "of this prompt, these checks and models"},
        reference={"type": "string", "enum": ["model", "human"]},
        reference_models={
            "type": "array",
            "items": _TEXT,
            "description": "whose answers it was compared with: errors are disagreement with them",
        },
        max_error={"type": "number", "description": "promised, of what is served"},
        confidence=_NUMBER,
        tested_at={"type": "number", "description": "the confidence of its test"},
        threshold=_nullable("number", description="null: nothing can be promised, all escalates"),
        samples={"type": "integer", "description": "outcomes that it was tested on"},
        served=_nullable("integer", description="of those, at the threshold"),
        errors=_nullable("integer", description="of the served"),
        bound=_nullable("number", description="the highest error rate that this leaves possible"),
        coverage={"type": "number", "description": "the share that is served"},
        fitted={"type": "integer", "description": "other outcomes, that the score was learned on"},
        signals={
            "type": "array",
            "items": _TEXT,
            "description": "that the score was learned from; empty: it is the one signal alone",
        },
        why_not_learned=_nullable("string"),
        judge=_nullable(
            "object",
            description="whose word it goes by, and how often people found that wrong; null: none",
        ),
        least_likeness=_nullable(
            "number",
            description="to inputs that it was made on, below which one is novel, and escalates;"
            " null: that is not looked at",
        ),
        novel={"type": "integer", "description": "outcomes left out of its test for that"},
        tested={
            "type": "array",
            "description": "thresholds in the order tested",
            "items": _object(threshold=_NUMBER, served=_INT, errors=_INT, bound=_NUMBER),
        },
        by_label={
            "type": "array",
            "items": _object(label=_TEXT, samples=_INT, served=_INT, errors=_INT),
        },
        shadow_samples={"type": "integer", "description": "of what it served, compared since"},
        shadow_errors={"type": "integer", "description": "of those"},
        created_at=_TIME,
        withdrawn_at=_WHEN,
        withdrawn_reason=_nullable("string"),
    ),
    "CalibrationList": _list("Calibration"),
    "Budget": _object(
        id=_TEXT,
        account=_TEXT,
        scope={"type": "string", "enum": ["account", "user", "session"]},
        key={"type": "string", "description": "the user or session; empty: each for itself"},
        period={"type": "string", "enum": ["day", "month"]},
        limit_usd=_USD,
        hard=_BOOL,
        plan=_nullable("string", description="that it came with; null: the account's own"),
        spent_usd=_USD,
        reserved_usd={"type": "string", "description": "USD, of calls that are out or were lost"},
        resets_at=_TIME,
        created_at=_TIME,
    ),
    "BudgetList": _list("Budget"),
    "Plan": _object(
        ("name", "first_tier_only", "budgets", "created_at"),
        name=_TEXT,
        first_tier_only={"type": "boolean", "description": "its accounts may not escalate"},
        budgets={
            "type": "array",
            "items": _object(scope=_TEXT, period=_TEXT, limit_usd=_USD, hard=_BOOL),
        },
        accounts={"type": "integer", "description": "that are on it; in lists"},
        created_at=_TIME,
    ),
    "PlanList": _list("Plan"),
    "OnPlan": _object(account=_TEXT, plan=_nullable("string")),
    "TrainingData": _list("TrainingRow"),
    "TrainingRow": _object(
        job_id=_ID,
        input=_ANY,
        right={"type": "boolean", "description": "the first tier handled it well"},
    ),
    "Router": _object(
        id=_TEXT,
        feature=_TEXT,
        rows=_INT,
        right_rows=_INT,
        data_sha256=_TEXT,
        with_embeddings=_BOOL,
        quality={"type": "object"},
        trained_at=_TIME,
        withdrawn_at=_WHEN,
    ),
    "RouterList": _list("Router"),
    "MicroModel": _object(None, **_MICRO_MODEL),
    "MicroModelWithPromise": _object(
        None, **_MICRO_MODEL, calibration={"anyOf": [ref("Calibration"), {"type": "null"}]}
    ),
    "MicroModelList": _list("MicroModel"),
    "LabelList": _list("KnownLabel"),
    "KnownLabel": _object(
        job_id=_ID,
        input=_ANY,
        expected=_ANY,
        label=_nullable("string", description="of a closed set; null: the output is none"),
        said_by=_nullable("string", description="the model that said so; null: a person"),
        representative={"type": "boolean", "description": "drawn whatever it says"},
    ),
    "Dataset": _object(
        id=_TEXT,
        feature=_TEXT,
        version=_INT,
        of_this_task={
            "type": "boolean",
            "description": "its labels mean what the feature's do now",
        },
        rows=_INT,
        removed_rows={"type": "integer", "description": "that lost their content with their job's"},
        sha256=_TEXT,
        by_side={"type": "object", "description": "rows that train, calibrate and test"},
        by_source={"type": "object", "description": "rows from people, models and files"},
        said_by={"type": "object", "description": "rows by the model whose answer they are"},
        representative_rows={"type": "integer", "description": "that stand for all traffic"},
        near_duplicates={"type": "integer", "description": "rows that are like an earlier one"},
        by_label={"type": "object", "description": "rows by label, of a closed set"},
        left_out={"type": "integer", "description": "jobs whose input breaks the schema by now"},
        left_out_jobs={"type": "array", "items": _TEXT, "description": "the first of them"},
        created_at=_TIME,
    ),
    "DatasetList": _list("Dataset"),
    "DatasetRow": _object(
        number=_INT,
        input=_ANY,
        expected=_ANY,
        digest=_TEXT,
        alike={"type": "integer", "description": "the first row that it is like"},
        side={"type": "string", "enum": ["train", "calibration", "test"]},
        source={"type": "string", "enum": ["human", "model", "file"]},
        said_by=_nullable("string"),
        representative=_BOOL,
        disagreeing={
            "type": "integer",
            "description": "labels of the same input that say something else",
        },
        job_id=_nullable("string", format="uuid"),
        removed={"type": "boolean", "description": "with its job's content"},
        shown={"type": "boolean", "description": "false: another account's"},
    ),
    "DatasetRowPage": _list("DatasetRow"),
    "Evaluation": _object(
        id=_TEXT,
        feature=_TEXT,
        dataset={"type": "integer", "description": "its version"},
        status={"type": "string", "enum": ["running", "completed", "cancelled"]},
        tiers={"type": "array", "items": _TEXT, "description": "each is held to the last"},
        planned={"type": "integer", "description": "examples"},
        left_out={"type": "object", "description": "examples that a tier has seen, by where"},
        max_usd=_nullable("string", description="what it may cost; null: any"),
        created_at=_TIME,
        ended_at=_WHEN,
        found=_nullable("object", description="null: it is not completed"),
        stale=_nullable("string", description="why it says nothing any more; null: it does"),
        progress=_nullable("object", description="null: it has ended"),
    ),
    "EvaluationList": _list("Evaluation"),
    "Differing": _object(
        row={"type": "integer", "description": "of the dataset"},
        input=_ANY,
        expected=_ANY,
        output=_ANY,
        job_id=_TEXT,
        other_output=_ANY,
        other_job_id=_TEXT,
    ),
    "DifferingList": _list("Differing"),
    "Promotion": _object(None, **_PROMOTION),
    "PromotionList": _list("Promotion"),
    "MadePromotion": _object(
        feature=_TEXT,
        tier=_TEXT,
        rung=_RUNG,
        reason={"type": "string", "description": "what the evaluation showed"},
        evaluation=_TEXT,
        share={"type": "number", "description": "of the jobs; below 1 it is a canary"},
        changes={
            "type": "array",
            "items": _object(key=_TEXT, value=_ANY),
            "description": "of the feature's file; null: without that key",
        },
        source={"type": "string", "description": "the feature's file with them"},
        watched={"type": "boolean", "description": "the feature has shadows to watch it by"},
        only_checks_escalate={"type": "boolean", "description": "no doubt does"},
        feature_version=_nullable("integer", description="null: a dry run"),
        promotion={
            "anyOf": [ref("Promotion"), {"type": "null"}],
            "description": "null: a dry run",
        },
    ),
    "Demotion": _object(
        feature=_TEXT,
        feature_version={"type": "integer", "description": "that begins on the last tier"},
        reason=_TEXT,
    ),
    "Economics": _object(
        feature=_TEXT,
        from_=_TIME,
        to=_TIME,
        every={"type": "integer", "description": "of how many jobs one was looked at"},
        jobs={"type": "integer", "description": "of the present version, that ended"},
        began_before_last={"type": "integer", "description": "of those, before the last tier"},
        escalated=_INT,
        known_jobs={"type": "integer", "description": "whose cost is known"},
        cost_usd=_nullable("string", description="of a job, the mean"),
        cost_deviation_usd=_nullable("string", description="standard deviation"),
        upkeep={
            "type": "array",
            "description": "what it cost in all to compare answers, by purpose: shadow, judge",
            "items": _object(
                purpose=_TEXT,
                jobs=_INT,
                calls=_INT,
                cost_usd=_USD,
                unknown_cost_calls=_UNKNOWN,
            ),
        },
        tiers={
            "type": "array",
            "items": _object(
                tier=_TEXT,
                model=_TEXT,
                attempts={"type": "integer", "description": "with a call, without shadows"},
                known_attempts={"type": "integer", "description": "whose cost is known"},
                unknown_cost_attempts=_INT,
                cost_usd=_nullable("string", description="of an attempt, the mean"),
                cost_deviation_usd=_nullable("string", description="standard deviation"),
                input_tokens=_nullable("number", description="not read from a cache, the mean"),
                cached_input_tokens=_nullable("number"),
                output_tokens=_nullable("number", description="with the reasoning ones"),
                flex_price=_nullable("object", description="at the slower service tier flex"),
                prompt_characters={"type": "integer", "description": "without an input"},
            ),
        },
    ),
    "FeatureStatus": _object(
        feature=_TEXT,
        feature_version=_INT,
        stages={"type": "array", "items": _TEXT, "description": "the road"},
        stage={"type": "string", "description": "where it is on it"},
        told={"type": "string", "description": "what that means here"},
        labels={"type": "integer", "description": "jobs whose right output is known"},
        labels_wanted=_INT,
        dataset_rows={"type": "integer", "description": "of the newest of this task"},
        verdict=_nullable("string", description="of the newest evaluation that still holds"),
        stale=_nullable("string", description="why the newest evaluation holds no more"),
        rung=_nullable("string", description="of the promotion in force"),
        share=_nullable("number", description="of the jobs that it takes"),
        drifted=_BOOL,
        month=_object(
            from_=_TIME,
            jobs=_INT,
            cost_usd=_USD,
            unknown_cost_calls=_UNKNOWN,
            last_tier_alone_usd=_nullable("string"),
            saved_usd=_nullable("string"),
        ),
        next={"type": "string", "description": "a command"},
        why={"type": "string", "description": "what it is for"},
    ),
    "Drift": _object(
        feature=_TEXT,
        evidence=_nullable("string", description="what it goes by now; null: nothing was found"),
        evidence_at=_WHEN,
        refresh_days=_INT,
        refresh_due={"type": "boolean", "description": "the evidence is older than that"},
        reference=_nullable("object", description="what traffic is held against; null: nothing"),
        waits_for=_nullable("string", description="why there is no look yet; null: there is one"),
        drifted=_BOOL,
        moved={"type": "array", "items": _TEXT},
        figures={
            "type": "array",
            "items": _object(name=_TEXT, mean=_NUMBER, least=_NUMBER, most=_NUMBER),
            "description": "of the newest look, or the last with an alarm: the mean, and between "
            "what it lies unchanged",
        },
        looks={
            "type": "array",
            "items": _object(
                number=_INT,
                at=_TIME,
                inputs=_INT,
                money={"type": "number", "description": "won against no change; 20 is an alarm"},
                alarm=_BOOL,
            ),
        },
        examples={"type": "array", "items": ref("OutcomeToLabel")},
    ),
    "Report": _object(
        feature=_TEXT,
        from_=_TIME,
        to=_TIME,
        jobs=_INT,
        completed=_INT,
        unverified=_INT,
        failed=_INT,
        tiers={
            "type": "array",
            "items": _object(
                tier=_TEXT,
                attempts=_INT,
                jobs={"type": "integer", "description": "that it was asked about"},
                served=_INT,
                cost_usd=_USD,
                unknown_cost_calls=_UNKNOWN,
                latency_p50_s=_nullable("number"),
            ),
        },
        escalations={
            "type": "array",
            "items": _object(verdict=_TEXT, jobs=_INT, share=_NUMBER),
        },
        cost_usd=_USD,
        unknown_cost_calls=_UNKNOWN,
        shadow_cost_usd=_USD,
        judge_cost_usd=_USD,
        costs_by_purpose={
            "type": "array",
            "description": "every call's cost, by what it was for: shadow and judge are not in"
            " cost_usd",
            "items": _object(purpose=_TEXT, calls=_INT, cost_usd=_USD, unknown_cost_calls=_UNKNOWN),
        },
        last_tier=_TEXT,
        last_tier_alone_usd=_nullable(
            "string", description="at what it cost where it was asked; null: unknown"
        ),
        saved_usd=_nullable("string"),
        saved_share=_nullable("number"),
        quality=_object(
            compared={"type": "integer", "description": "outcomes that stand for all"},
            reference_models={"type": "array", "items": _TEXT},
            served={"type": "integer", "description": "of those, by the first tier"},
            served_differ={"type": "integer", "description": "of those, from their reference"},
            escalated_differ=_INT,
            judge=_nullable(
                "object", description="who says what differs, and what share it misses; null: none"
            ),
        ),
    ),
    "Outcome": _object(
        job_id=_ID,
        input=_ANY,
        models=_TEXT,
        reference_by=_nullable("string"),
        served=_BOOL,
        differs=_BOOL,
        score=_nullable("number"),
        signals={"type": "object"},
        inclusion={"type": "number", "description": "the probability with which it was drawn"},
        first_usd=_nullable("string", description="what the first tier's answer cost"),
        later_usd=_nullable("string", description="what the later tier's cost"),
    ),
    "OutcomePage": _list("Outcome"),
    "ToLabel": _list("OutcomeToLabel"),
    "OutcomeToLabel": _object(("job_id", "input"), job_id=_ID, input=_ANY, answer=_ANY),
    "FeedbackCount": _object(
        kept={"type": "integer", "description": "0 after a dry run"}, checked=_INT
    ),
    "Route": _object(
        job_id=_ID,
        feature=_TEXT,
        feature_version=_INT,
        status=_STATUS,
        decisions={"type": "array", "items": ref("Decision")},
        alternatives={
            "type": "array",
            "description": "every tier that the feature allows",
            "items": _object(
                tier=_TEXT,
                model=_TEXT,
                expected_cost_usd=_nullable(
                    "string", description="of an answer as long as the tier allows; null: unknown"
                ),
            ),
        },
    ),
    "Said": _object(
        purpose=_TEXT,
        model=_TEXT,
        messages={"type": "array", "items": _object(role=_TEXT, content=_TEXT)},
        text={"type": "string", "description": "as the model gave it"},
    ),
    "Call": _object(
        number=_INT,
        purpose=_TEXT,
        model={"type": "string", "description": "the exact one that answered, else the asked one"},
        asked={"type": "string", "description": "provider:model, as the feature names it"},
        usage=_USAGE,
        cost_usd=_nullable("string", description="USD; null: unknown"),
        latency_s=_nullable("number"),
        error=_nullable("string"),
        service_tier=_nullable("string", description="as the provider told it"),
        provider_request_id=_nullable("string", description="for its support to find the call"),
        booked_at=_TIME,
        settled_at=_WHEN,
    ),
    "Feedback": _object(
        id=_INT,
        job_id={"type": "string", "format": "uuid"},
        correct=_nullable("boolean"),
        expected=_ANY,
        comment=_nullable("string"),
        created_at=_TIME,
    ),
    "Feature": _object(**_FEATURE, version=_INT),
    "FeatureList": _list("Feature"),
    "AppliedFeature": _object(
        **_FEATURE,
        version=_nullable("integer", description="null: a dry run of something new"),
        changed={"type": "boolean", "description": "false: it was current already"},
        dry_run=_BOOL,
        warnings={"type": "array", "items": _TEXT},
    ),
    "Draft": _object(
        **_FEATURE,
        id=_TEXT,
        version={"type": "integer", "description": "below 0: a draft's", "maximum": -1},
        warnings={"type": "array", "items": _TEXT},
    ),
    "FeatureVersion": {
        "allOf": [
            ref("Feature"),
            _object(
                source={"type": "string", "description": "the file as it was applied"},
                document={"type": "object"},
                fingerprint=_TEXT,
                prices={
                    "type": "object",
                    "description": "by tier and provider:model: the price now; null: unknown",
                },
            ),
        ]
    },
    "Circuits": _object(
        data={
            "type": "array",
            "items": _object(
                model=_TEXT,
                open={"type": "boolean", "description": "no call goes out, but for a probe"},
                cause=_nullable("string", description="of its being open: server, key, quota …"),
                reason=_nullable("string"),
                opened_at=_nullable("string", format="date-time"),
                failed_probes=_INT,
                probe_in_s=_nullable("number", description="until the next probe may go"),
                paused_s={"type": "number", "description": "until its rate limit lets calls out"},
            ),
        },
    ),
    "Queues": _object(
        data={
            "type": "array",
            "items": _object(
                queue=_TEXT,
                waiting={"type": "integer", "description": "in Postgres, with no hint out"},
                delayed={"type": "integer", "description": "of the waiting, not due yet"},
                hinted={"type": "integer", "description": "on their way through the broker"},
                running=_INT,
                threads={"type": "integer", "description": "of live workers"},
                accounts_waiting=_INT,
                oldest_s=_nullable("number", description="how long the first one has waited"),
            ),
        },
        failed_checks={
            "type": "array",
            "description": "of the attempts begun in the last hour",
            "items": _object(feature=_TEXT, tier=_TEXT, verdict=_TEXT, attempts=_INT),
        },
    ),
    "Usage": {
        **_object(
            ("from", "to", "group_by", "data"),
            from_=_TIME,
            to=_TIME,
            group_by={"type": "array", "items": _TEXT},
            data={
                "type": "array",
                "items": {
                    **_object(
                        ("jobs", "calls", "cost_usd", "unknown_cost_calls", "usage", "model_s"),
                        day={"type": "string", "format": "date"},
                        feature=_TEXT,
                        tier=_TEXT,
                        model=_TEXT,
                        purpose={
                            "type": "string",
                            "description": "of the calls; shadow and judge are what was done to"
                            " compare answers, and no caller's budget pays for them",
                        },
                        jobs=_INT,
                        calls=_INT,
                        cost_usd=_USD,
                        unknown_cost_calls=_UNKNOWN,
                        usage=_USAGE,
                        model_s={"type": "number", "description": "seconds spent in calls"},
                    )
                },
            },
        )
    },
    "Models": _object(
        data={
            "type": "array",
            "items": _object(
                model=_nullable("string", description="provider:model; null: sold by nobody"),
                family=_nullable("string", description="null: not in the catalogue"),
                class_=_nullable("string", description="micro, small, mid or frontier"),
                features={"type": "array", "items": _TEXT},
                configured=_nullable("boolean"),
                missing=_nullable("string", description="what must be set first"),
                region=_nullable("string", description="where it runs; null: anywhere"),
                price=_nullable("object", description="USD per million tokens; null: unpriced"),
                id=_nullable("string", description="the exact id behind an alias"),
                aliases={"type": "array", "items": _TEXT},
                lifecycle=_nullable("string", description="sold, retires, retires soon or retired"),
                released=_nullable("string", format="date"),
                retires=_nullable("string", format="date"),
                not_before=_nullable("string", format="date"),
                successor=_nullable("string", description="what is sold in its place"),
                context_tokens=_nullable("integer"),
                output_tokens=_nullable("integer"),
                structured_output=_nullable("boolean", description="null: not known"),
                logprobs=_nullable("boolean"),
                temperature=_nullable("boolean"),
                reasoning=_nullable("boolean"),
                sources={"type": "object", "description": "by fact: url, and the day it was read"},
                self_hosted={"type": "object", "description": "by server: the id there"},
                nearest=_nullable("string", description="the closest that is sold"),
                circuit_open=_nullable(
                    "string", description="why its circuit is open; null: it is not"
                ),
                left_alone=_nullable(
                    "string", deprecated=True, description="circuit_open as version 0.1 named it"
                ),
                note=_nullable("string"),
            ),
        },
    ),
    "Price": _object(
        id=_TEXT,
        model={"type": "string", "description": "provider:model"},
        service_tier={"type": "string", "description": "empty: the standard"},
        since=_TIME,
        in_force=_BOOL,
        price=_nullable("object", description="USD per million tokens; null: withdrawn"),
        note=_TEXT,
        created_at=_TIME,
    ),
    "PriceList": {
        "allOf": [
            _list("Price"),
            _object(
                list=_object(
                    source=_TEXT,
                    version=_TEXT,
                    compiled_on={"type": "string", "format": "date"},
                )
            ),
        ]
    },
    "Account": _object(
        name=_TEXT,
        weight=_INT,
        max_queued_jobs=_nullable("integer", description="null: the setting's, as of the others"),
        max_jobs_in_progress=_nullable("integer"),
        max_requests_per_s=_nullable("integer", description="to each API process"),
        max_body_bytes_per_s=_nullable("integer", description="to each API process"),
        created_at=_TIME,
    ),
    "AccountList": _list("Account"),
    "Key": _KEY,
    "KeyList": _list("Key"),
    "NewKey": {
        "allOf": [ref("Key"), _object(key={"type": "string", "description": "shown this once"})]
    },
    "WebhookSecret": _object(
        secret={"type": "string", "description": "signs the webhooks of the account's jobs"},
        old_until={**_WHEN, "description": "the one before signs too, until then"},
    ),
    "WebhookEndpoint": _ENDPOINT,
    "WebhookEndpointPage": _list("WebhookEndpoint"),
    "NewWebhookEndpoint": {
        "allOf": [
            ref("WebhookEndpoint"),
            _object(secret={"type": "string", "description": "whsec_…, shown this once"}),
        ]
    },
    "WebhookDelivery": _object(
        id=_ID,
        webhook_id={"type": "string", "description": "the webhook-id header of every try"},
        endpoint_id=_nullable("string", format="uuid", description="null: a job's webhook_url"),
        url=_TEXT,
        job_id=_nullable("string", format="uuid"),
        batch_id=_nullable("string", format="uuid"),
        event=_TEXT,
        status={"type": "string", "enum": ["pending", "delivered", "failed"]},
        tries=_INT,
        in_flight={"type": "boolean", "description": "it is being tried at this moment"},
        body_removed={
            "type": "boolean",
            "description": "with its job's output; it cannot be sent again",
        },
        next_try_at={**_WHEN, "description": "null: there is none"},
        created_at=_TIME,
        ended_at=_WHEN,
        last_status=_nullable("integer", description="HTTP status of the last try"),
        last_error=_nullable("string"),
    ),
    "WebhookDeliveryPage": _list("WebhookDelivery"),
    "Ready": _object(
        ready=_BOOL,
        degraded={"type": "object", "additionalProperties": _TEXT, "description": "part: reason"},
    ),
    "Health": _object(status={"type": "string", "const": "ok"}),
}

NEW_JOB_EXAMPLE: JSON = {
    "feature": "invoice-fields",
    "input": {"text": "Invoice A-17\nTotal due: 12.50 EUR"},
    "metadata": {"source": "mail"},
    "deadline_s": 600,
}

ETAG_HEADERS: dict[str, Any] = {
    "ETag": {"schema": _TEXT, "description": "strong; of this representation"},
    "Cache-Control": {"schema": _TEXT},
}


def documented(
    description: str, component: str, headers: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A JSON answer of a route, for its OpenAPI."""
    found: dict[str, Any] = {
        "description": description,
        "content": {"application/json": {"schema": ref(component)}},
    }
    return found | ({"headers": dict(headers)} if headers else {})


def body(component: str, example: JSON) -> dict[str, Any]:
    """The JSON body that a route takes, for `openapi_extra`."""
    content = {"application/json": {"schema": ref(component), "example": example}}
    return {"requestBody": {"required": True, "content": content}}
