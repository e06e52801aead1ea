"""`micro:` models: classifiers that a feature trained for itself, asked inside the worker.

They are no further than a product of matrices, so that there is nothing to send: what is here says
what they can do, and that they cannot be asked a prompt.
"""

from importlib.util import find_spec

from tierline.base.settings import Settings
from tierline.providers.types import CallFailed, Capabilities, Completion, CompletionRequest
from tierline.rules.causes import Cause

LIBRARIES = ("numpy", "onnxruntime", "tokenizers")


class Micro:
    """What a worker does by itself: see services.micro."""

    def __init__(self, settings: Settings) -> None: ...

    def missing(self) -> str | None:
        if all(find_spec(name) for name in LIBRARIES):
            return None
        return "it needs the extra `routing`, here and where workers run: 'make setup' brings it"

    def capabilities(self, model: str) -> Capabilities:  # noqa: ARG002 - one kind of model
        return Capabilities(structured_output=True, temperature=False, seed=False)

    def complete(self, request: CompletionRequest) -> Completion:
        raise CallFailed(Cause.REQUEST, f"{request.model} is a classifier and reads no prompt")

    def close(self) -> None: ...
