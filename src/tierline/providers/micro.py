"""`micro:` models: classifiers that were trained for a feature and run inside the worker.

They need no network. This class only states what they can do, and refuses prompts.
"""

from importlib.util import find_spec

from tierline.base.settings import Settings
from tierline.providers.types import CallFailed, Capabilities, Completion, CompletionRequest
from tierline.rules.causes import Cause

LIBRARIES = ("numpy", "onnxruntime", "tokenizers")


class Micro:
    """The classifiers that a worker runs itself: see services.micro."""

    def __init__(self, settings: Settings) -> None: ...

    def missing(self) -> str | None:
        if all(find_spec(name) for name in LIBRARIES):
            return None
        return "the extra `routing` is missing here or where workers run: 'make setup' installs it"

    def capabilities(self, model: str) -> Capabilities:  # noqa: ARG002 - one kind of model
        return Capabilities(structured_output=True, temperature=False, seed=False)

    def complete(self, request: CompletionRequest) -> Completion:
        raise CallFailed(Cause.REQUEST, f"{request.model} is a classifier and reads no prompt")

    def close(self) -> None: ...
