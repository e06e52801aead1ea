"""What counts as a right answer to an example: the known answer against what was served.

For the demo's figures and for trying a feature on examples/dev. Not part of the product: tierline
never sees an expected answer, and these rules hold for the three example features only.
"""

from collections.abc import Mapping, Sequence
from typing import Any

MONEY_TOLERANCE = 0.005
"""Half a cent: amounts pass through JSON doubles, and no example differs from another by less."""


def is_right(feature_name: str, expected: Any, output: Any) -> bool:
    """Whether `output`, served for an example of this feature, is the right answer.

    `expected` None means that no answer is right, so whatever was served is wrong. A job that
    failed served nothing: count it apart, and do not ask this function about it.
    Raises ValueError for a feature that has no scoring rule here.
    """
    if expected is None:
        return False
    if feature_name == "invoice-fields":
        return _same_fields(expected, output)
    if feature_name == "ticket-triage":
        return isinstance(output, Mapping) and output.get("category") == expected["category"]
    if feature_name == "ticket-summary":
        return isinstance(output, str) and _meets(expected, output)
    choices = "invoice-fields, ticket-triage, ticket-summary"
    raise ValueError(f"no scoring rule for the feature {feature_name!r}; there are {choices}")


def _same_fields(expected: Mapping[str, Any], output: Any) -> bool:
    if not isinstance(output, Mapping):
        return False
    return all(name in output and _same(want, output[name]) for name, want in expected.items())


def _same(want: Any, got: Any) -> bool:
    if _is_number(want) and _is_number(got):
        return abs(float(want) - float(got)) < MONEY_TOLERANCE
    if isinstance(want, str) and isinstance(got, str):
        return want.strip() == got.strip()
    return type(want) is type(got) and bool(want == got)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _meets(criteria: Mapping[str, Any], text: str) -> bool:
    words = text.casefold()
    groups: Sequence[Sequence[str]] = criteria["must_mention"]
    never: Sequence[str] = criteria.get("must_not_mention", ())
    return all(any(word.casefold() in words for word in group) for group in groups) and not any(
        word.casefold() in words for word in never
    )
