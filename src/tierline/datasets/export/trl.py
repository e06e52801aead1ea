"""The conversational prompt-completion format of TRL's SFTTrainer, which learns only the completion
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


def faults(row: JSON) -> list[str]:
    """What is wrong with a row; empty if nothing."""
    problems = keys_faults(row, ("prompt", "completion"))
    if problems:
        return problems
    problems = turn_faults(row["prompt"], "prompt", ROLES)
    if not problems and row["prompt"][-1]["role"] != "user":
        problems.append("prompt: the last turn must be the user's")
    completion = row["completion"]
    if not isinstance(completion, list) or len(completion) != 1:
        return [*problems, "completion is not a list of one turn"]
    (turn,) = completion
    if not isinstance(turn, dict) or turn.get("role") != "assistant":
        return [*problems, "completion: the turn must be the assistant's"]
    if not isinstance(turn.get("content"), str) or not turn["content"].strip():
        problems.append("completion is empty")
    return problems
