"""What a feature's file says about requests in the form of OpenAI's API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from tierline.base.json_text import JSON

Treatment = Literal["refuse", "ignore", "input"]
TREATMENTS: tuple[Treatment, ...] = get_args(Treatment)

INSTRUCTIONS_FIELD = "instructions"
"""The field of the feature's input that gets a caller's instructions: a text."""
CONVERSATION_FIELD = "messages"
"""The field of the feature's input that gets the earlier messages: `[{role, content}, …]`."""


@dataclass(frozen=True)
class OpenaiOptions:
    """What happens to parts of a request that a feature has no use for by itself.

    `refuse`: the request is refused. `ignore`: the part is left out, and the answer says so.
    `input`: it becomes a field of the job's input, which the feature declares.
    """

    instructions: Treatment = "refuse"  # of the caller, besides the feature's own
    conversation: Treatment = "refuse"  # the messages up to the assistant's last one

    def to_dict(self) -> dict[str, JSON]:
        return {"instructions": self.instructions, "conversation": self.conversation}

    @classmethod
    def from_dict(cls, data: Mapping[str, JSON]) -> "OpenaiOptions":
        """The inverse of `to_dict`."""
        return cls(data["instructions"], data["conversation"])

    def fields(self) -> frozenset[str]:
        """The fields of the input that are not for the text of the user's messages."""
        names = set()
        if self.instructions == "input":
            names.add(INSTRUCTIONS_FIELD)
        if self.conversation == "input":
            names.add(CONVERSATION_FIELD)
        return frozenset(names)
