"""The prompts and answers of an attempt, stored only for jobs of drafts, for their author.

For other jobs only the answers are stored: the version and the input give the prompt again.
"""

from collections.abc import Sequence

from tierline.base.json_text import JSON, storable
from tierline.features.prompts import Message
from tierline.providers.types import Completion


class Trace:
    """The answered calls of one attempt, in order."""

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
