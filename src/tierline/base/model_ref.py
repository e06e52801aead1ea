"""A model as files, rows and answers name it: `provider:model`."""

from dataclasses import dataclass

CLASS = "class"  # in a provider's place: any model of that class, chosen when it is applied


@dataclass(frozen=True)
class ModelRef:
    """A model as a feature names it."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"

    @property
    def wanted_class(self) -> str | None:
        """The class of `class:small`, which asks for a model instead of naming one; else None.

        Applying the feature puts an exact id in its place, so that no job ever meets one.
        """
        return self.model if self.provider == CLASS else None

    @classmethod
    def parse(cls, text: str) -> "ModelRef":
        """`provider:model`; the model's own name may hold colons. Raises ValueError."""
        provider, colon, model = text.partition(":")
        if not (colon and provider and model) or text != text.strip():
            raise ValueError(
                f"a model is written provider:model, such as openai:gpt-6.1-sol, not {text!r}"
            )
        return cls(provider, model)
