"""OpenAI's chat format for supervised fine-tuning: `{"messages": [...]}` per line; the last turn is
the assistant's (platform.openai.com/docs/guides/supervised-fine-tuning).
"""

from collections.abc import Sequence

from tierline.base.json_text import JSON
from tierline.datasets.export.chat import ROLES, messages_faults, turns
from tierline.features.prompts import Message

FEWEST = 10


def row(prompt: Sequence[Message], answer: str) -> JSON:
    """One example."""
    return {"messages": [*turns(prompt), {"role": "assistant", "content": answer}]}


def faults(given: JSON) -> list[str]:
    """What is wrong with a row; empty if nothing."""
    return messages_faults(given, ROLES)
