"""Getting one tier's answer and checking it: its steps, and the calls that its confidence needs.

Models are called only through the attempt's CallBook. `routing.confidence_gate` decides whether the
confidence is high enough.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tierline.base.json_text import storable
from tierline.base.recent import Recent
from tierline.checks import Checked, check
from tierline.checks.agreement import agreement, decided
from tierline.checks.dialects import modern
from tierline.checks.labels import closed_set, score, scoring_messages
from tierline.checks.verifier import share_of_yes, verifier_messages
from tierline.features import Confidence, Feature, Tier
from tierline.features.prompts import (
    FAILED_STEP,
    Message,
    PriorFailure,
    answer_messages,
    reask_messages,
    step_messages,
)
from tierline.features.task import Step, Task
from tierline.providers.types import CallFailed, Completion, TokenLogprob
from tierline.rules.causes import Cause
from tierline.rules.verdicts import Verdict
from tierline.services.calls.calls import CallBook

REASKABLE = frozenset(
    {Verdict.MALFORMED, Verdict.SCHEMA, Verdict.RULE, Verdict.UNGROUNDED, Verdict.TRUNCATED}
)
LABEL_LOGPROBS = 500  # as many as the local server gives; a provider with fewer gives what it has
MOST_BASELINES = 500  # content-free scores that a process remembers, one for each tier and model


@dataclass(frozen=True)
class Answered:
    """One tier's answer, and what the checks say about it."""

    text: str
    checked: Checked
    model: str  # the exact model that answered
    confidence: float | None = None  # 0 to 1, where the feature asks for it
    signals: Mapping[str, float] = field(default_factory=dict)  # for a calibrated confidence
    failed_step: str | None = None  # text and verdict are this step's; there was no answer
    novel: bool = False  # its input is unlike those that the classifier or calibration saw


class Answering:
    """Gets answers. One per process: it remembers the scores of content-free inputs."""

    def __init__(self) -> None:
        self._baselines: Recent[tuple[str, str, str], list[TokenLogprob]] = Recent(MOST_BASELINES)

    def answer(
        self,
        book: CallBook,
        feature: Feature,
        tier: Tier,
        input: Any,
        prior: PriorFailure | None,
    ) -> Answered:
        """Raises CallFailed when no model answers, RuleBroken when the feature's rule errors."""
        outputs: dict[str, Any] = {}  # by step
        for step in tier.steps:
            messages = step_messages(step, input, outputs)
            answered = _ask_well(book, "step", step, tier, input, messages, step.max_tokens)
            if answered.checked.verdict is not Verdict.PASSED:
                return _failed_step(step, answered)
            outputs[step.name] = answered.checked.output
        if tier.join_steps:
            return _joined(book, feature, input, outputs, answered.model)
        confidence = feature.confidence_of(tier)
        if confidence is None:
            messages = answer_messages(feature, tier, input, prior, outputs)
            return _ask_well(book, "answer", feature, tier, input, messages)
        if confidence.signal == "label_logprob":
            answered = self._by_labels(book, feature, tier, input, prior, outputs)
        else:
            messages = answer_messages(feature, tier, input, prior, outputs)
            answered = self._by_agreement(book, feature, input, messages, confidence)
        if confidence.verify and answered.checked.verdict is Verdict.PASSED:
            return _verified(book, feature, tier, input, answered)
        return answered

    def _by_agreement(
        self,
        book: CallBook,
        feature: Feature,
        input: Any,
        messages: list[Message],
        confidence: Confidence,
    ) -> Answered:
        """The output that most samples give (self-consistency, Wang et al., 2022).

        The confidence is its share of all samples that could be drawn: at least so many agree.
        """
        most = confidence.samples or 1
        samples: list[Answered] = []
        good: list[Answered] = []
        while len(samples) < most:
            sample = _ask(
                book,
                "sample" if samples else "answer",
                feature,
                input,
                messages,
                temperature=confidence.temperature,
                seed=len(samples) + 1,
            )
            samples.append(sample)
            if sample.checked.verdict is Verdict.PASSED:
                good.append(sample)
            passed = [one.checked.output for one in good]
            if confidence.threshold is None:
                continue  # the signal is the share of all samples: every one is drawn
            if decided(passed, most - len(samples), most, confidence.threshold):
                break  # more samples would cost, and change nothing
        if not good:
            return replace(samples[0], confidence=0.0)
        index, share = agreement(passed)
        agreed = round(share * len(good)) / most
        return replace(
            good[index],
            confidence=agreed,
            signals={"agreement": agreed, "passed": len(good) / most},
        )

    def _by_labels(
        self,
        book: CallBook,
        feature: Feature,
        tier: Tier,
        input: Any,
        prior: PriorFailure | None,
        outputs: Mapping[str, Any],
    ) -> Answered:
        """The label whose score gains most over a content-free input's (Zhao et al., 2021)."""
        labels = closed_set(feature.output_schema)
        if labels is None:  # refused when a feature is applied
            raise TypeError("label scores need a closed set of answers")
        messages = scoring_messages(feature, tier, labels, input, prior, outputs)
        completion = _score_call(book, messages)
        scores = score(
            labels, _first_token(completion), self._baseline(book, feature, tier, completion.model)
        )
        output = labels.wrap(scores.best)
        checked = check(feature, input, labels.text(scores.best), book.check_context)
        return Answered(
            text=labels.text(scores.best),
            checked=replace(checked, output=output),
            model=completion.model,
            confidence=scores.confidence,
            signals={"label_logprob": scores.confidence, "label_margin": scores.margin},
        )

    def _baseline(
        self, book: CallBook, feature: Feature, tier: Tier, model: str
    ) -> list[TokenLogprob]:
        key = (feature.fingerprint(), tier.name, model)
        baseline = self._baselines.get(key)
        if baseline is None:
            labels = closed_set(feature.output_schema)
            assert labels is not None
            empty = _score_call(book, scoring_messages(feature, tier, labels, None))
            baseline = self._baselines.keep(key, _first_token(empty))
        return baseline


def _verified(
    book: CallBook, feature: Feature, tier: Tier, input: Any, answered: Answered
) -> Answered:
    """The answer with its model's own opinion of it as one more signal."""
    messages = verifier_messages(feature, tier, input, answered.checked.output)
    completion = _score_call(book, messages, "verify")
    share = share_of_yes(_first_token(completion))
    if share is None:
        return answered
    return replace(answered, signals={**answered.signals, "verifier": share})


def _ask_well(
    book: CallBook,
    purpose: str,
    task: Task,
    tier: Tier,
    input: Any,
    messages: list[Message],
    max_tokens: int | None = None,
) -> Answered:
    """Ask, and ask again if the tier allows a re-ask and a correction may help."""
    answered = _ask(book, purpose, task, input, messages, max_tokens)
    verdict, reason = answered.checked.verdict, answered.checked.reason
    if not tier.reask or verdict not in REASKABLE:
        return answered
    again = reask_messages(messages, answered.text, reason or str(verdict))
    return _ask(book, "reask", task, input, again, max_tokens)


def _failed_step(step: Step, answered: Answered) -> Answered:
    """A step's failure as the tier's. The step's text is kept, but is no output."""
    checked = answered.checked
    reason = f"{FAILED_STEP}{step.name}: {checked.reason or checked.verdict}"
    return replace(
        answered, checked=replace(checked, reason=reason, output=None), failed_step=step.name
    )


def _joined(
    book: CallBook, feature: Feature, input: Any, outputs: Mapping[str, Any], model: str
) -> Answered:
    """The answer from the steps' outputs, which are objects with different fields."""
    text = json.dumps({name: value for part in outputs.values() for name, value in part.items()})
    checked = check(feature, input, text, book.check_context)
    return Answered(text=text, checked=checked, model=model)


def _ask(
    book: CallBook,
    purpose: str,
    task: Task,
    input: Any,
    messages: list[Message],
    max_tokens: int | None = None,
    temperature: float | None = None,
    seed: int | None = None,
) -> Answered:
    schema: Mapping[str, Any] | None = None if task.plain_text else modern(task.output_schema)
    completion = book.complete(
        purpose,
        messages,
        max_tokens=max_tokens,
        json_schema=schema,
        temperature=temperature,
        seed=seed,
    )
    text = storable(completion.text)  # a model may write what cannot be stored
    if completion.finish is not None:
        reason = (
            "the answer was cut off at max_tokens"
            if completion.finish is Verdict.TRUNCATED
            else "the model declined to answer"
        )
        checked = Checked(completion.finish, reason, None, False, (reason,))
    else:
        checked = check(task, input, text, book.check_context)
    return Answered(text=text, checked=checked, model=completion.model)


def _score_call(
    book: CallBook, messages: list[Message], purpose: str = "label_score"
) -> Completion:
    return book.complete(
        purpose, messages, max_tokens=1, temperature=0.0, top_logprobs=LABEL_LOGPROBS
    )


def _first_token(completion: Completion) -> list[TokenLogprob]:
    if not completion.top_logprobs:
        raise CallFailed(
            Cause.NO_ANSWER,
            "the model gives no token probabilities, which the confidence needs",
            latency_s=completion.latency_s,
        )
    return list(completion.top_logprobs[0])
