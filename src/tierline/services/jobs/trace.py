"""What was said in an attempt, kept for the jobs of drafts, which somebody is looking at.

Other jobs keep their answers alone: a prompt is the version's text around the job's input.
"""

from collections.abc import Sequence

from tierline.base.json_text import JSON, storable
from tierline.features.prompts import Message
from tierline.providers.types import Completion


class Trace:
    """The calls of one attempt that were answered, in order, as they are kept."""

    def __init__(self) -> None:
        self.calls: list[JSON] = []

    def note(self, purpose: str, messages: Sequence[Message], completion: Completion) -> None:
        self.calls.append(
            {
                "purpose": purpose,
                "model": completion.model,
                "messages": [
                    {"role": message.role, "content": storable(message.content)}
                    for message in messages
                ],
                "text": storable(completion.text),
            }
        )
