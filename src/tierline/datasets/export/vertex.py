"""Gemini's format for supervised tuning on Vertex AI: a system instruction, and contents of user
and model, each with text parts (cloud.google.com, prepare supervised fine-tuning data).
"""

from collections.abc import Sequence

from tierline.base.json_text import JSON, short
from tierline.datasets.export.chat import keys_faults
from tierline.features.prompts import Message

FEWEST = 1
ROLES = ("user", "model")


def row(prompt: Sequence[Message], answer: str) -> JSON:
    """One example."""
    contents = [
        _content("model" if message.role == "assistant" else "user", message.content)
        for message in prompt
        if message.role != "system"
    ]
    system = "\n\n".join(message.content for message in prompt if message.role == "system")
    example: dict[str, JSON] = {"contents": [*contents, _content("model", answer)]}
    if system:
        example = {"systemInstruction": _content("system", system), **example}
    return example


def faults(given: JSON) -> list[str]:
    """What is wrong with a row; empty if nothing."""
    keys = ("systemInstruction", "contents")
    problems = [
        one
        for one in keys_faults(given, keys)
        if one != "systemInstruction is missing"  # it is optional
    ]
    if problems:
        return problems
    contents = given["contents"]
    if not isinstance(contents, list) or not contents:
        return ["contents is not a list of turns"]
    if "systemInstruction" in given:
        problems += _content_faults(given["systemInstruction"], "systemInstruction", ("system",))
    for number, content in enumerate(contents):
        problems += _content_faults(content, f"contents[{number}]", ROLES)
    if not problems:
        spoken = [content["role"] for content in contents]
        if any(one != ROLES[at % 2] for at, one in enumerate(spoken)):
            problems.append("contents: user and model must alternate, beginning with user")
        if spoken[-1] != "model":
            problems.append("contents: the last turn must be the model's, which is learned")
    return problems


def _content(role: str, text: str) -> JSON:
    return {"role": role, "parts": [{"text": text}]}


def _content_faults(given: JSON, place: str, roles: Sequence[str]) -> list[str]:
    if not isinstance(given, dict) or set(given) != {"role", "parts"}:
        return [f"{place} needs exactly the keys role and parts"]
    problems = []
    if given["role"] not in roles:
        problems.append(f"{place} has the role {short(given['role'])}; use {' or '.join(roles)}")
    parts = given["parts"]
    if not isinstance(parts, list) or not parts:
        return [*problems, f"{place} has no parts"]
    for part in parts:
        text = part.get("text") if isinstance(part, dict) and set(part) == {"text"} else None
        if not isinstance(text, str) or not text.strip():
            problems.append(f"{place} has a part without a text")
    return problems
