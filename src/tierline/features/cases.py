"""Cases: inputs whose right output is known, to test a feature version with.

Jobs do not use them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tierline.base.json_text import JSON


@dataclass(frozen=True)
class Case:
    """One input and what its output must be. `equal` uses `expected`, `rule` uses `rule`."""

    input: JSON
    kind: Literal["equal", "rule", "unserved"]  # unserved: every tier's answer must fail a check
    name: str | None = None
    expected: JSON = None  # the output; 1 equals 1.0, and the order of object keys does not matter
    rule: str = ""  # CEL over `input` and `output`, true for every right output
    says: str | None = None  # the message if the rule does not hold

    def to_dict(self) -> dict[str, JSON]:
        fields: dict[str, JSON] = {"input": self.input}
        if self.name is not None:
            fields["name"] = self.name
        if self.kind == "equal":
            return fields | {"expected": self.expected}
        if self.kind == "unserved":
            return fields | {"served": False}
        return fields | {"rule": self.rule} | ({} if self.says is None else {"says": self.says})

    @classmethod
    def from_dict(cls, data: Mapping[str, JSON]) -> "Case":
        name = data.get("name")
        if "expected" in data:
            return cls(data["input"], "equal", name, expected=data["expected"])
        if "rule" in data:
            return cls(data["input"], "rule", name, rule=data["rule"], says=data.get("says"))
        return cls(data["input"], "unserved", name)
