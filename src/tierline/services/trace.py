"""A book that also remembers what was said: for the jobs of drafts, which somebody is looking at.

Other jobs keep their answers alone: a prompt is the version's text around the job's input.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tierline.json_text import JSON, storable
from tierline.prompts import Message
from tierline.providers.types import Completion
from tierline.services.calls import CallBook


class TracedBook(CallBook):
    """A CallBook whose `trace` has each call that was answered, in order."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.trace: list[JSON] = []

    def complete(
        self,
        purpose: str,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        json_schema: Mapping[str, Any] | None = None,
        top_logprobs: int | None = None,
        seed: int | None = None,
    ) -> Completion:
        completion = super().complete(
            purpose,
            messages,
            max_tokens=max_tokens,
            temperature=temperature,
            json_schema=json_schema,
            top_logprobs=top_logprobs,
            seed=seed,
        )
        self.trace.append(
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
        return completion
