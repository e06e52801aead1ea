"""Mistral's fine-tuning format: `{"messages": [...]}` per line, with user and assistant turns only
(docs.mistral.ai, text fine-tuning). The product's system turn is put before the first user turn's
text.
"""

from collections.abc import Sequence

from tierline.base.json_text import JSON
from tierline.datasets.export.chat import messages_faults, turns
from tierline.features.prompts import Message

FEWEST = 1
ROLES = ("user", "assistant")


def row(prompt: Sequence[Message], answer: str) -> JSON:
    """One example."""
    system = "\n\n".join(message.content for message in prompt if message.role == "system")
    spoken = turns([message for message in prompt if message.role != "system"])
    if system:
        spoken[0] = {**spoken[0], "content": f"{system}\n\n{spoken[0]['content']}"}
    return {"messages": [*spoken, {"role": "assistant", "content": answer}]}


def faults(given: JSON) -> list[str]:
    """What is wrong with a row; empty if nothing."""
    return messages_faults(given, ROLES)
