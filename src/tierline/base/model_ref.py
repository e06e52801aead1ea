"""A model's name in files, rows and responses: `provider:model`."""

from dataclasses import dataclass

CLASS = "class"  # instead of a provider: any model of that class, chosen at apply time


@dataclass(frozen=True)
class ModelRef:
    """A model as a feature names it."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"

    @property
    def requested_class(self) -> str | None:
        """The class in `class:small`, which asks for a model class instead of a model; else None.

        Applying the feature replaces it with an exact model id, so jobs never see it.
        """
        return self.model if self.provider == CLASS else None

    @classmethod
    def parse(cls, text: str) -> "ModelRef":
        """From `provider:model`; the model's name may contain colons. Raises ValueError."""
        provider, colon, model = text.partition(":")
        if not (colon and provider and model) or text != text.strip():
            raise ValueError(
                f"a model is written provider:model, such as openai:gpt-6.1-sol, not {text!r}"
            )
        return cls(provider, model)
