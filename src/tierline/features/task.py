"""One question to a model: the instructions, the form of the answer, the checks.

A feature is such a task. A step of a tier is a smaller one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tierline.base.json_text import JSON

CheckKind = Literal["grounded", "rule", "one_of", "matches", "custom"]


@dataclass(frozen=True)
class Check:
    """One check beyond the schema. Each kind uses one of the fields below."""

    kind: CheckKind
    fields: tuple[str, ...] = ()  # grounded: paths into the output: total, items[].sku
    rule: str = ""  # rule: CEL over `input` and `output`, true when the answer is good
    allowed: Mapping[str, tuple[JSON, ...]] = field(default_factory=dict)  # one_of: by path
    patterns: Mapping[str, str] = field(default_factory=dict)  # matches: by path
    custom: str = ""  # custom: the name of one of the operator's checks, see `base.custom_checks`
    says: str | None = None  # shown to the next tier and the caller if the check fails

    @property
    def description(self) -> str:
        """What the check asks, for people."""
        if self.kind == "rule":
            return self.rule
        if self.kind == "grounded":
            return f"grounded: {', '.join(self.fields)}"
        if self.kind == "custom":
            return f"custom: {self.custom}"
        return f"{self.kind}: {', '.join(self.allowed or self.patterns)}"

    def to_dict(self) -> dict[str, JSON]:
        what: dict[str, JSON] = {
            "grounded": list(self.fields),
            "rule": self.rule,
            "one_of": {path: list(values) for path, values in self.allowed.items()},
            "matches": dict(self.patterns),
            "custom": self.custom,
        }
        fields: dict[str, JSON] = {self.kind: what[self.kind]}
        return fields if self.says is None else fields | {"says": self.says}

    @classmethod
    def from_dict(cls, data: Mapping[str, JSON]) -> "Check":
        says = data.get("says")
        if "grounded" in data:
            return cls("grounded", fields=tuple(data["grounded"]), says=says)
        if "one_of" in data:
            allowed = {path: tuple(values) for path, values in data["one_of"].items()}
            return cls("one_of", allowed=allowed, says=says)
        if "matches" in data:
            return cls("matches", patterns=dict(data["matches"]), says=says)
        if "custom" in data:
            return cls("custom", custom=data["custom"], says=says)
        return cls("rule", rule=data["rule"], says=says)


@dataclass(frozen=True)
class WorkedExample:
    """One worked example, shown to the model as a turn of the conversation."""

    input: JSON
    output: JSON

    def to_dict(self) -> dict[str, JSON]:
        return {"input": self.input, "output": self.output}

    @classmethod
    def from_dict(cls, data: Mapping[str, JSON]) -> "WorkedExample":
        return cls(data["input"], data["output"])


class Task(Protocol):
    """The common part of a feature and a step: how an answer is asked for and checked."""

    @property
    def output_schema(self) -> Mapping[str, JSON]: ...
    @property
    def checks(self) -> tuple[Check, ...]: ...
    @property
    def plain_text(self) -> bool: ...


@dataclass(frozen=True)
class Step:
    """One of the simpler questions that a tier asks, in order, before the answer."""

    name: str  # its name in later questions and in reasons
    instructions: str
    output_schema: Mapping[str, JSON]  # JSON Schema, of any draft in `checks.dialects`
    max_tokens: int  # visible output
    examples: tuple[WorkedExample, ...] = ()  # of the feature's input and the step's output
    checks: tuple[Check, ...] = ()  # over the job's input and the step's output

    @property
    def plain_text(self) -> bool:
        """Whether the answer is the model's text, not JSON."""
        return is_plain_text(self.output_schema)

    def to_dict(self) -> dict[str, JSON]:
        return {
            "name": self.name,
            "instructions": self.instructions,
            "output": dict(self.output_schema),
            "max_tokens": self.max_tokens,
            "examples": [example.to_dict() for example in self.examples],
            "checks": [check.to_dict() for check in self.checks],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, JSON]) -> "Step":
        return cls(
            name=data["name"],
            instructions=data["instructions"],
            output_schema=data["output"],
            max_tokens=data["max_tokens"],
            examples=tuple(WorkedExample.from_dict(item) for item in data["examples"]),
            checks=tuple(Check.from_dict(item) for item in data["checks"]),
        )


def is_plain_text(output_schema: Mapping[str, JSON]) -> bool:
    """Whether a schema means text as the model writes it."""
    return output_schema.get("type") == "string" and "enum" not in output_schema
