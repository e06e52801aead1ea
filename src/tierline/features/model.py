"""A feature as values: Postgres keeps it as JSON, and every job runs by it.

Nothing here reads a file or validates a value. `tierline.features.parse` does both, and only what
it accepts is stored.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, cast

from tierline.base.json_text import JSON, canonical_json, without_none
from tierline.base.model_ref import ModelRef
from tierline.features.cases import Case
from tierline.features.comparison import Comparison
from tierline.features.openai_options import OpenaiOptions
from tierline.features.retention import Retention
from tierline.features.routing_options import Canary, Complexity, Shadow
from tierline.features.task import Check, Step, WorkedExample, is_plain_text
from tierline.pricing import Price

Routing = Literal["slm_first", "slm_only", "frontier_first", "frontier_only"]
OnBlocked = Literal["fail", "return_unverified"]
Signal = Literal["label_logprob", "agreement", "micro"]

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""How much a model may think before it answers. No provider supports all of them."""
SERVICE_TIERS = ("auto", "flex", "priority", "standard")
"""How soon and at which price a call is served, in one vocabulary for all providers."""

DEEPER_LABEL = "running deeper analysis…"  # shown to the caller while a later tier works
MICRO = "micro"  # instead of a provider: the feature's own classifier, inside the worker
MICRO_MODEL = "all-MiniLM-L6-v2"  # the embedding model that the classifier uses
CALIBRATED = "calibrated"  # instead of a threshold: the one that a calibration found
REFRESH_DAYS = 90
SAMPLE_TEMPERATURE = 0.7  # at temperature 0 all samples would be the same answer


@dataclass(frozen=True)
class Confidence:
    """The confidence that a tier must reach with an answer that passed every other check."""

    signal: Signal
    threshold: float | None  # 0..1: the label's probability, or the share of samples that agree;
    # None: of a score learned from all signals, where a calibration found it
    samples: int | None = None  # agreement: number of answers, the first included
    temperature: float | None = None  # agreement: of the samples; above 0
    verify: bool = False  # calibrated: also ask the model whether its answer is right, as a signal

    @property
    def calibrated(self) -> bool:
        """Whether a calibration sets the threshold. Until one is in force, no answer is confident
        enough.
        """
        return self.threshold is None

    def to_dict(self) -> dict[str, JSON]:
        return without_none(
            signal=self.signal,
            threshold=CALIBRATED if self.threshold is None else self.threshold,
            samples=self.samples,
            temperature=self.temperature,
            verify=self.verify or None,
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, JSON]) -> "Confidence":
        threshold = data["threshold"]
        return cls(**{**data, "threshold": None if threshold == CALIBRATED else threshold})


@dataclass(frozen=True)
class Tier:
    """One entry of a feature's ordered list of tiers."""

    name: str
    models: tuple[ModelRef, ...]  # in order of fallback
    max_tokens: int  # visible output tokens of one call
    timeout_s: float  # total deadline of one call
    temperature: float = 0.0  # of the answer; samples have their own
    instructions: str | None = None  # replace the feature's
    examples: tuple[WorkedExample, ...] | None = None  # replace the feature's; () shows none
    # questions asked in order before the answer; each sees the earlier outputs
    steps: tuple[Step, ...] = ()
    # the steps' outputs together are the answer, and no further call is made
    join_steps: bool = False
    reask: bool = False  # one more try with the failure reason on this tier before escalating
    confidence: Confidence | None = None  # replaces the feature's: see Feature.confidence_of
    prices: Mapping[str, Price] = field(default_factory=dict)  # by "provider:model"
    reasoning_effort: str | None = None  # one of EFFORTS; None: each model's own
    service_tier: str | None = None  # one of SERVICE_TIERS; None: the parameter is not sent

    @property
    def is_micro(self) -> bool:
        """Whether the feature's own trained classifier answers, without a call to a model."""
        return bool(self.models) and self.models[0].provider == MICRO

    def to_dict(self) -> dict[str, JSON]:
        fields: dict[str, JSON] = {
            "name": self.name,
            "models": [str(model) for model in self.models],
            "max_tokens": self.max_tokens,
            "timeout_s": self.timeout_s,
            "temperature": self.temperature,
            "reask": self.reask,
        }
        fields |= without_none(
            instructions=self.instructions,
            reasoning_effort=self.reasoning_effort,
            service_tier=self.service_tier,
        )
        if self.steps:
            fields["steps"] = [step.to_dict() for step in self.steps]
            fields["join_steps"] = self.join_steps
        if self.examples is not None:
            fields["examples"] = [example.to_dict() for example in self.examples]
        if self.confidence is not None:
            fields["confidence"] = self.confidence.to_dict()
        if self.prices:
            fields["prices"] = {name: price.to_dict() for name, price in self.prices.items()}
        return fields

    @classmethod
    def from_dict(cls, data: Mapping[str, JSON]) -> "Tier":
        return cls(
            name=data["name"],
            models=tuple(ModelRef.parse(text) for text in data["models"]),
            max_tokens=data["max_tokens"],
            timeout_s=float(data["timeout_s"]),
            temperature=float(data["temperature"]),
            instructions=data.get("instructions"),
            examples=_examples(data["examples"]) if "examples" in data else None,
            steps=tuple(Step.from_dict(item) for item in data.get("steps", ())),
            join_steps=data.get("join_steps", False),
            reask=data["reask"],
            confidence=_confidence(data.get("confidence")),
            prices={name: Price.from_dict(price) for name, price in data.get("prices", {}).items()},
            reasoning_effort=data.get("reasoning_effort"),
            service_tier=data.get("service_tier"),
        )


@dataclass(frozen=True)
class Feature:
    """One task: its input, its output, how answers are checked, and which tiers answer."""

    name: str
    description: str
    instructions: str
    input_schema: Mapping[str, JSON]  # JSON Schema, of any draft in `checks.dialects`
    output_schema: Mapping[str, JSON]
    tiers: tuple[Tier, ...]  # never empty; the first is the small model's
    examples: tuple[WorkedExample, ...] = ()
    checks: tuple[Check, ...] = ()  # run in this order, after the schema
    confidence: Confidence | None = None
    routing: Routing = "slm_first"
    # account → the tier where its jobs begin
    pinned: Mapping[str, str] = field(default_factory=dict)
    canary: Canary | None = None
    shadow: Shadow | None = None
    complexity: Complexity | None = None
    latency_target_ms: int | None = None  # from submission; jobs do not escalate to slower tiers
    # what was learned about the feature counts as stale after so many days
    refresh_days: int = REFRESH_DAYS
    status_labels: Mapping[str, str | None] = field(default_factory=dict)  # by tier; None: hidden
    on_blocked: OnBlocked = "fail"
    cases: tuple[Case, ...] = ()  # to test a version with
    retention: Retention | None = None  # None: jobs' contents are kept for good
    residency: tuple[str, ...] = ()  # regions in which its models may run; empty: anywhere
    comparison: Comparison | None = None  # how two answers are compared: see compared_by
    openai: OpenaiOptions = field(default_factory=OpenaiOptions)  # of requests to /openai/v1

    @property
    def plain_text(self) -> bool:
        """Whether the answer is the model's text, not JSON."""
        return is_plain_text(self.output_schema)

    @property
    def compared_by(self) -> Comparison:
        """How two answers are compared.

        The default is normalised text for plain text, else exact.
        """
        return self.comparison or Comparison("normalised" if self.plain_text else "exact")

    def allowed_tiers(self) -> tuple[Tier, ...]:
        """The tiers that the routing uses, in order; frontier_only leaves only the last."""
        if self.routing == "slm_only":
            return self.tiers[:1]
        if self.routing == "frontier_only":
            return self.tiers[-1:]
        return self.tiers

    def tier(self, name: str) -> Tier:
        """The tier of that name. Raises KeyError."""
        for tier in self.tiers:
            if tier.name == name:
                return tier
        raise KeyError(name)

    def place(self, tier_index: int) -> int:
        """A tier's position among those that call a model. A micro tier has the position of the
        next tier.
        """
        micro = sum(tier.is_micro for tier in self.tiers[:tier_index])
        return tier_index - micro

    def first_tier(self) -> Tier:
        """The tier that a job begins on by default."""
        return self.allowed_tiers()[-1 if self.routing == "frontier_first" else 0]

    def needs_refresh(self, made_at: datetime, now: datetime) -> bool:
        """Whether what was found out about the feature at that time is too old to act on."""
        return now - made_at > timedelta(days=self.refresh_days)

    def next_tier(self, name: str) -> Tier | None:
        """The tier to escalate to from `name`; None if it is the last allowed one."""
        allowed = self.allowed_tiers()
        for here, after in pairwise(allowed):
            if here.name == name:
                return after
        return None

    def only(self, name: str, *, sure: bool = True) -> "Feature":
        """The feature reduced to one tier, with the same checks. Raises KeyError.

        A calibrated threshold only decides on escalation, so it does not apply here. If `sure` is
        false, no threshold applies, and every answer that passes its checks is served.
        """
        tier = self.tier(name)
        bound = self.confidence_of(tier)
        if bound is not None and not sure:
            bound = replace(bound, threshold=0.0, verify=False)
        elif bound is not None and bound.calibrated:
            bound = replace(bound, threshold=0.0)  # for a micro tier too: then it always answers
        return replace(
            self,
            tiers=(replace(tier, confidence=bound),),
            confidence=None,
            routing="slm_only",
            pinned={},
            canary=None,
            shadow=None,
            complexity=None,
            status_labels={
                label: text for label, text in self.status_labels.items() if label == name
            },
        )

    def confidence_of(self, tier: Tier) -> Confidence | None:
        """The confidence that `tier` must reach: its own, else the feature's.

        The feature's threshold decides on escalation. So it does not apply to the last of several
        tiers, where it would only double the cost and fail the job. That tier needs a threshold of
        its own.
        """
        if tier.confidence is not None:
            return tier.confidence
        allowed = self.allowed_tiers()
        if len(allowed) > 1 and tier.name == allowed[-1].name:
            return None
        return self.confidence

    def to_dict(self) -> dict[str, JSON]:
        """The feature as JSON, with the keys of its file."""
        fields: dict[str, JSON] = {
            "feature": self.name,
            "description": self.description,
            "instructions": self.instructions,
            "input": dict(self.input_schema),
            "output": dict(self.output_schema),
            "examples": [example.to_dict() for example in self.examples],
            "checks": [check.to_dict() for check in self.checks],
            "routing": self.routing,
            "on_blocked": self.on_blocked,
            "tiers": [tier.to_dict() for tier in self.tiers],
        }
        if self.pinned:
            fields["pinned"] = dict(self.pinned)
        if self.canary is not None:
            fields["canary"] = self.canary.to_dict()
        if self.latency_target_ms is not None:
            fields["latency_target_ms"] = self.latency_target_ms
        if self.refresh_days != REFRESH_DAYS:
            fields["refresh_days"] = self.refresh_days
        if self.complexity is not None:
            fields["complexity"] = self.complexity.to_dict()
        if self.shadow is not None:
            fields["shadow"] = self.shadow.to_dict()
        if self.confidence is not None:
            fields["confidence"] = self.confidence.to_dict()
        if self.status_labels:
            fields["status_label"] = {
                name: label or "" for name, label in self.status_labels.items()
            }
        if self.cases:
            fields["cases"] = [case.to_dict() for case in self.cases]
        if self.retention is not None:
            fields["retention"] = self.retention.to_dict()
        if self.residency:
            fields["residency"] = list(self.residency)
        if self.comparison is not None:
            fields["comparison"] = self.comparison.to_dict()
        if self.openai != OpenaiOptions():
            fields["openai"] = self.openai.to_dict()
        return fields

    @classmethod
    def from_dict(cls, data: Mapping[str, JSON]) -> "Feature":
        """The inverse of `to_dict`, without validation."""
        return cls(
            name=data["feature"],
            description=data["description"],
            instructions=data["instructions"],
            input_schema=data["input"],
            output_schema=data["output"],
            tiers=tuple(Tier.from_dict(tier) for tier in data["tiers"]),
            examples=_examples(data["examples"]),
            checks=tuple(Check.from_dict(item) for item in data["checks"]),
            confidence=_confidence(data.get("confidence")),
            routing=cast(Routing, data["routing"]),
            pinned=data.get("pinned", {}),
            canary=Canary(**data["canary"]) if "canary" in data else None,
            shadow=Shadow(**data["shadow"]) if "shadow" in data else None,
            complexity=Complexity(**data["complexity"]) if "complexity" in data else None,
            latency_target_ms=data.get("latency_target_ms"),
            refresh_days=data.get("refresh_days", REFRESH_DAYS),
            status_labels={
                name: label or None for name, label in data.get("status_label", {}).items()
            },
            on_blocked=cast(OnBlocked, data["on_blocked"]),
            cases=tuple(Case.from_dict(item) for item in data.get("cases", ())),
            retention=Retention.from_dict(data["retention"]) if "retention" in data else None,
            residency=tuple(data.get("residency", ())),
            comparison=Comparison.from_dict(data["comparison"]) if "comparison" in data else None,
            openai=OpenaiOptions.from_dict(data["openai"]) if "openai" in data else OpenaiOptions(),
        )

    def answers_on(self, tier: Tier) -> int:
        """How many calls an answer on this tier takes, without those of steps and re-asks."""
        if tier.join_steps or tier.is_micro:
            return 0
        confidence = self.confidence_of(tier)
        if confidence is None:
            return 1
        return (confidence.samples or 1) + confidence.verify

    def fingerprint(self) -> str:
        """SHA-256, in hex, of the feature's canonical JSON.

        Equal features have equal fingerprints.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return hashlib.sha256(canonical_json(self.to_dict()).encode()).hexdigest()


def _examples(data: JSON) -> tuple[WorkedExample, ...]:
    return tuple(WorkedExample.from_dict(item) for item in data)


def _confidence(data: Mapping[str, Any] | None) -> Confidence | None:
    return None if data is None else Confidence.from_dict(data)
