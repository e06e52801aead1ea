"""Whether a feature's models are known to lack what it needs. Checked when it is applied.

The catalogue's facts apply only if the model is called at its seller. Another server behind the
same setting may serve anything under that id. An unknown fact is no objection.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from tierline.base.usage import CHARACTERS_PER_TOKEN
from tierline.catalogue import find, region_of, replacement
from tierline.catalogue.families import Sold
from tierline.checks.labels import closed_set
from tierline.features import Feature, ModelRef, Tier
from tierline.features.model import SAMPLE_TEMPERATURE
from tierline.features.prompts import answer_messages
from tierline.pricing import at_sellers, host_of
from tierline.providers import capabilities

SOON = timedelta(days=90)
OF_ONES_OWN = frozenset({"local", "llamacpp", "ollama", "vllm"})


@dataclass(frozen=True)
class Objection:
    """A problem of one model of one tier."""

    message: str
    refused: bool  # true: every call would fail or break the feature's terms; false: a warning


def objections(feature: Feature, tier: Tier, model: ModelRef, today: date) -> Iterator[Objection]:
    """All known problems of this model for this tier."""
    if feature.residency:
        yield from _residency(feature, model)
    yield from _unsupported(feature, tier, model)
    sold = sold_model(model)
    if sold is None:
        return
    yield from _lifecycle(sold, model, today)
    if sold.retired(today):
        return
    yield from _limits(feature, tier, model, sold)
    if sold.structured_output is False and not feature.plain_text:
        yield Objection(
            f"{model} cannot enforce a JSON Schema: the prompt asks for it, the check verifies it"
            f"{_instead(sold, today)}",
            refused=False,
        )


def sold_model(model: ModelRef) -> Sold | None:
    """The catalogue's facts about the model, or None if they do not apply."""
    if model.provider != "local" and not _is_sellers_address(model.provider):
        return None
    entry = find(model.provider, model.model)
    return None if entry is None else entry[1]


def region(provider: str) -> str | None:
    """The region in which the provider runs, from its configured address; None: anywhere."""
    host = host_of(provider)
    if host is None:
        return None
    if provider == "vertex":
        location = host.partition("-")[0]
        return {"europe": "eu", "eu": "eu", "us": "us"}.get(location)
    return region_of(host)


def allowed(feature: Feature, provider: str) -> bool:
    """Whether the feature's residency allows the place where this provider runs.

    A server of your own is always allowed, because you know where it runs. A server that is only
    known by a name of your choice may be anybody's.
    """
    if not feature.residency or provider in OF_ONES_OWN:
        return True
    return region(provider) in feature.residency


def scores_labels(feature: Feature, tier: Tier) -> bool:
    """Whether the tier asks for the log-probabilities of labels."""
    confidence = feature.confidence_of(tier)
    return (
        confidence is not None
        and confidence.signal == "label_logprob"
        and closed_set(feature.output_schema) is not None
    )


def _is_sellers_address(provider: str) -> bool:
    host = host_of(provider)
    return at_sellers(provider) or (host is not None and region_of(host) is not None)


def _residency(feature: Feature, model: ModelRef) -> Iterator[Objection]:
    if allowed(feature, model.provider):
        return
    where = region(model.provider)
    regions = ", ".join(feature.residency)
    runs = "may run anywhere" if where is None else f"runs in {where}"
    yield Objection(
        f"{model} {runs} at its configured address, and this feature allows only {regions}: "
        "set a regional address, or use a model of your own server",
        refused=True,
    )


def _unsupported(feature: Feature, tier: Tier, model: ModelRef) -> Iterator[Objection]:
    """Parameters and signals that the model lacks. Dropping them silently would hide the change."""
    can = capabilities(model)
    for key, requested, accepted in (
        ("reasoning_effort", tier.reasoning_effort, can.efforts),
        ("service_tier", tier.service_tier, can.service_tiers),
    ):
        if requested is not None and requested not in accepted:
            which = f"only {', '.join(accepted)}" if accepted else "none that is known"
            yield Objection(
                f"{model} does not take the {key} {requested}, {which}: leave the key out, or use "
                "another model",
                refused=True,
            )
    if scores_labels(feature, tier) and not can.most_logprobs:
        yield Objection(
            f"{model} gives no token probabilities, which label_logprob needs: use "
            "'signal: agreement', or another model",
            refused=True,
        )
    confidence = feature.confidence_of(tier)
    if confidence is not None and confidence.verify and not can.most_logprobs:
        yield Objection(
            f"{model} gives no token probabilities, which verify needs: leave the key out, or "
            "use another model",
            refused=True,
        )
    if can.temperature:
        return
    own = None if confidence is None else confidence.temperature
    if tier.temperature or own not in (None, SAMPLE_TEMPERATURE):
        yield Objection(
            f"{model} accepts only its own temperature: leave the key out, or use another model",
            refused=True,
        )


def _lifecycle(sold: Sold, model: ModelRef, today: date) -> Iterator[Objection]:
    if sold.retires is None:
        return
    if sold.retired(today):
        message = f"{model} was retired on {sold.retires}{_instead(sold, today)}"
        yield Objection(message, refused=True)
    elif sold.retires - today <= SOON:
        days = (sold.retires - today).days
        message = f"{model} retires on {sold.retires}, in {days} days{_instead(sold, today)}"
        yield Objection(message, refused=False)


def _limits(feature: Feature, tier: Tier, model: ModelRef, sold: Sold) -> Iterator[Objection]:
    if sold.output_tokens is not None and tier.max_tokens > sold.output_tokens:
        yield Objection(
            f"{model} answers with at most {sold.output_tokens:,} tokens, and max_tokens is "
            f"{tier.max_tokens:,}",
            refused=True,
        )
    if sold.context_tokens is None:
        return
    prompt = sum(len(message.content) for message in answer_messages(feature, tier, ""))
    needed = prompt // CHARACTERS_PER_TOKEN + tier.max_tokens
    if needed > sold.context_tokens:
        yield Objection(
            f"{model} has {sold.context_tokens:,} tokens of context; the prompt without an input "
            f"and the answer take about {needed:,}",
            refused=True,
        )
        return
    longest = _longest_input(feature)
    with_input = needed + longest // CHARACTERS_PER_TOKEN
    if with_input > sold.context_tokens:
        yield Objection(
            f"{model} has {sold.context_tokens:,} tokens of context; the longest input that the "
            f"schema allows would take about {with_input:,} with prompt and answer",
            refused=False,
        )


def _longest_input(feature: Feature) -> int:
    """The characters of the input's texts, as far as the schema limits them."""
    properties = feature.input_schema.get("properties")
    if not isinstance(properties, dict):
        return 0
    lengths = [one.get("maxLength") for one in properties.values() if isinstance(one, dict)]
    return sum(length for length in lengths if isinstance(length, int))


def _instead(sold: Sold, today: date) -> str:
    following = replacement(sold.ref, today)
    return "" if following is None else f"; in its place: {following}"
