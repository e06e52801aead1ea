"""Models as OpenAI's clients see them: each is a feature, by name or by name and version."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tierline.base.errors import InvalidInput, NotFound, Problem


def read_model_name(text: object) -> tuple[str, int | None]:
    """The feature's name and its version, if one is named, of `invoice-fields@3`.

    Raises InvalidInput.
    """
    if not isinstance(text, str) or not text:
        raise InvalidInput([Problem("must be the name of a feature", "/model")])
    name, at, version = text.partition("@")
    if not at:
        return name, None
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise InvalidInput([Problem("must be FEATURE or FEATURE@VERSION, such as x@3", "/model")])
    return name, int(version)


def model_object(name: str, applied_at: datetime) -> dict[str, Any]:
    """A model."""
    return {
        "id": name,
        "object": "model",
        "created": int(applied_at.timestamp()),
        "owned_by": "tierline",
    }


def model_list(features: Iterable[tuple[str, int, datetime]]) -> dict[str, Any]:
    """The models of these features: each feature under its name, and with its current version."""
    models = []
    for name, version, applied_at in features:
        models += [
            model_object(name, applied_at),
            model_object(f"{name}@{version}", applied_at),
        ]
    return {"object": "list", "data": models}


def check_current(name: str, requested: int | None, current: int) -> None:
    """Raises NotFound for a version that new jobs do not get."""
    if requested is not None and requested != current:
        raise NotFound(
            f"there is no model '{name}@{requested}': jobs run the current version, "
            f"{name}@{current}"
        )
