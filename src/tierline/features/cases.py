"""Cases: inputs of which a feature's writer knows what must come, so that a version can be tested.

A job never sees them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tierline.base.json_text import JSON


@dataclass(frozen=True)
class Case:
    """One input and what must come of it. `equal` uses `expected`, `rule` uses `rule`."""

    input: JSON
    kind: Literal["equal", "rule", "unserved"]  # unserved: every tier's answer must fail a check
    name: str | None = None
    expected: JSON = None  # the output; 1 equals 1.0, and the order of an object's names is free
    rule: str = ""  # CEL over `input` and `output`, true of every right output
    says: str | None = None  # what is wrong when the rule does not hold

    def to_dict(self) -> dict[str, JSON]:
        found: dict[str, JSON] = {"input": self.input}
        if self.name is not None:
            found["name"] = self.name
        if self.kind == "equal":
            return found | {"expected": self.expected}
        if self.kind == "unserved":
            return found | {"served": False}
        return found | {"rule": self.rule} | ({} if self.says is None else {"says": self.says})

    @classmethod
    def from_dict(cls, data: Mapping[str, JSON]) -> "Case":
        name = data.get("name")
        if "expected" in data:
            return cls(data["input"], "equal", name, expected=data["expected"])
        if "rule" in data:
            return cls(data["input"], "rule", name, rule=data["rule"], says=data.get("says"))
        return cls(data["input"], "unserved", name)
