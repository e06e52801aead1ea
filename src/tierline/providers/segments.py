"""A model's name as one segment of a provider's URL."""

from urllib.parse import quote

from tierline.features.model_names import name_fault
from tierline.providers.types import CallFailed
from tierline.rules.causes import Cause


def segment(model: str) -> str:
    """The name, encoded. Raises CallFailed for one that could lead elsewhere: a feature of an
    earlier release may still hold such a name, and `..` is `..` however it is encoded.
    """
    wrong = name_fault(model)
    if wrong is not None:
        raise CallFailed(Cause.MODEL, wrong)
    return quote(model, safe="")
