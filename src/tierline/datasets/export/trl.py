"""The conversational prompt-completion form of TRL's SFTTrainer, which learns the completion alone
(huggingface.co/docs/trl, dataset formats).
"""

from collections.abc import Sequence

from tierline.base.json_text import JSON
from tierline.datasets.export.chat import ROLES, keys_faults, turn_faults, turns
from tierline.features.prompts import Message

FEWEST = 1


def row(prompt: Sequence[Message], answer: str) -> JSON:
    """One example."""
    return {"prompt": turns(prompt), "completion": [{"role": "assistant", "content": answer}]}


def faults(given: JSON) -> list[str]:
    """What is wrong with a row; empty: nothing."""
    found = keys_faults(given, ("prompt", "completion"))
    if found:
        return found
    found = turn_faults(given["prompt"], "prompt", ROLES)
    if not found and given["prompt"][-1]["role"] != "user":
        found.append("prompt: its last turn is the user's")
    completion = given["completion"]
    if not isinstance(completion, list) or len(completion) != 1:
        return [*found, "completion is no list of one turn"]
    (turn,) = completion
    if not isinstance(turn, dict) or turn.get("role") != "assistant":
        return [*found, "completion: its turn is the assistant's"]
    if not isinstance(turn.get("content"), str) or not turn["content"].strip():
        found.append("completion says nothing")
    return found
