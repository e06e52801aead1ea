"""A model's name as one segment of a provider's URL."""

from urllib.parse import quote

from tierline.features.model_names import name_fault
from tierline.providers.types import CallFailed
from tierline.rules.causes import Cause


def segment(model: str) -> str:
    """The encoded name. Raises CallFailed for an unsafe one: a feature from an earlier release may
    still have such a name, and encoding does not make `..` safe.
    """
    wrong = name_fault(model)
    if wrong is not None:
        raise CallFailed(Cause.MODEL, wrong)
    return quote(model, safe="")
