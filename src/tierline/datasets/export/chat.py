"""Common to the formats: turns as objects with a role and a text."""

from collections.abc import Collection, Sequence

from tierline.base.json_text import JSON, short
from tierline.features.prompts import Message

ROLES = ("system", "user", "assistant")


def turns(messages: Sequence[Message]) -> list[JSON]:
    """Each turn with its role and its text."""
    return [{"role": message.role, "content": message.content} for message in messages]


def turn_faults(
    given: JSON, place: str, roles: Collection[str], *, system_first: bool = True
) -> list[str]:
    """What is wrong with a list of turns: not a list, unknown roles or keys, empty texts, a system
    turn that is not first, user and assistant turns that do not alternate.
    """
    if not isinstance(given, list) or not given:
        return [f"{place} is not a list of turns"]
    faults = []
    spoken = []
    for number, turn in enumerate(given):
        here = f"{place}[{number}]"
        if not isinstance(turn, dict) or set(turn) != {"role", "content"}:
            faults.append(f"{here} needs exactly the keys role and content")
            continue
        role, content = turn["role"], turn["content"]
        if role not in roles:
            faults.append(f"{here} has the role {short(role)}; use one of {', '.join(roles)}")
        if not isinstance(content, str) or not content.strip():
            faults.append(f"{here} is empty")
        if role == "system" and (number or not system_first):
            faults.append(f"{here}: only the first turn may be a system turn")
        elif role != "system":
            spoken.append(role)
    if spoken and any(one != ("user", "assistant")[at % 2] for at, one in enumerate(spoken)):
        faults.append(f"{place}: user and assistant must alternate, beginning with user")
    return faults


def last_is_assistant(given: JSON, place: str) -> list[str]:
    """What is wrong with the last turn, which is the answer to learn."""
    if isinstance(given, list) and given and isinstance(given[-1], dict):
        if given[-1].get("role") == "assistant":
            return []
        return [f"{place}: the last turn must be the assistant's, which is learned"]
    return []


def keys_faults(given: JSON, keys: Collection[str]) -> list[str]:
    """What is wrong with a row's own keys."""
    if not isinstance(given, dict):
        return ["a row must be a JSON object"]
    missing = [key for key in keys if key not in given]
    strange = [key for key in given if key not in keys]
    return [f"{key} is missing" for key in missing] + [
        f"{short(key)} is not a known key" for key in strange
    ]


def messages_faults(row: JSON, roles: Collection[str]) -> list[str]:
    """What is wrong with a row that is a list of turns alone, the last of which is learned."""
    problems = keys_faults(row, ("messages",))
    if problems:
        return problems
    messages = row["messages"]
    return [
        *turn_faults(messages, "messages", roles),
        *last_is_assistant(messages, "messages"),
    ]
