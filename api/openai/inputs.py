"""A job's input from OpenAI's `input` or `messages`, and back.

The rule: the texts of the user's messages are joined with a blank line. If the feature's input is a
text, or an object with one field that is a text, they go there. Any other input is read from them
as JSON.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tierline.base.errors import InvalidInput, Problem
from tierline.base.json_text import JSON, NotJson, parse_json

TEXT_PARTS = ("input_text", "text")  # of a response's input, and of a chat's message
_NOT_THE_USER = {
    "system": "the feature's file has the instructions: leave this message out",
    "developer": "the feature's file has the instructions: leave this message out",
    "assistant": "a feature answers one input and has no conversation: leave this message out",
    "tool": "a feature has no tools: leave this message out",
    "function": "a feature has no tools: leave this message out",
}


def text_field(schema: Mapping[str, JSON]) -> str | None:
    """Where the text goes: a field's name, "" for an input that is a text itself, and None for an
    input that is read as JSON."""
    if _is_text(schema):
        return ""
    properties = schema.get("properties")
    if schema.get("type") == "object" and isinstance(properties, dict) and len(properties) == 1:
        ((name, field),) = properties.items()
        if isinstance(field, dict) and _is_text(field):
            return str(name)
    return None


def _is_text(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "string" or (isinstance(kind, list) and "string" in kind)


def read_text(sent: JSON, where: str) -> str:
    """The text of `input` (a text or items) or of `messages`. `where`: the name of that field.

    Raises InvalidInput for anything that is not text from the user.
    """
    if isinstance(sent, str):
        return sent
    if not isinstance(sent, list) or not sent:
        raise _refused(f"/{where}", "must be a text or a list of messages, and not empty")
    texts = [_message(item, f"/{where}/{place}") for place, item in enumerate(sent)]
    return "\n\n".join(texts)


def _message(item: JSON, path: str) -> str:
    if not isinstance(item, dict):
        raise _refused(path, "must be a message: an object with a role and a content")
    kind = item.get("type", "message")
    if kind != "message":
        raise _refused(f"{path}/type", f"{kind!r} is not supported: send messages with text")
    role = item.get("role")
    if role != "user":
        why = _NOT_THE_USER.get(str(role), "must be user")
        raise _refused(f"{path}/role", f"{role!r} is not supported: {why}")
    _refuse_more(item, ("type", "role", "content", "id", "status"), path)
    content = item.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise _refused(f"{path}/content", "must be a text or a list of parts with text")
    return "".join(_part(part, f"{path}/content/{place}") for place, part in enumerate(content))


def _part(part: JSON, path: str) -> str:
    if not isinstance(part, dict) or part.get("type") not in TEXT_PARTS:
        kind = part.get("type") if isinstance(part, dict) else None
        raise _refused(f"{path}/type", f"{kind!r} is not supported: a feature's input is text")
    _refuse_more(part, ("type", "text"), path)
    text = part.get("text")
    if not isinstance(text, str):
        raise _refused(f"{path}/text", "must be a text")
    return text


def _refuse_more(sent: Mapping[str, JSON], known: Sequence[str], path: str) -> None:
    for name, value in sent.items():
        if name not in known and value is not None:
            raise _refused(f"{path}/{name}", "is not supported: leave it out")


def job_input(text: str, schema: Mapping[str, JSON], where: str, max_depth: int) -> JSON:
    """The job's input. Raises InvalidInput for a text that had to be JSON and is not."""
    field = text_field(schema)
    if field is not None:
        return {field: text} if field else text
    try:
        return parse_json(text, max_depth)
    except NotJson as error:
        raise _refused(
            f"/{where}",
            "the feature's input is not one text, so the text of the user's messages must be its"
            f" JSON, and it is not: {error.message}",
        ) from None


def where_sent(problem: Problem, where: str) -> Problem:
    """A problem of a job's field, with the name of the field here."""
    if problem.path == "/feature":
        return Problem(problem.message, "/model")
    if problem.path != "/input" and not problem.path.startswith("/input/"):
        return problem
    inner = problem.path.removeprefix("/input")
    message = f"{inner} of the feature's input: {problem.message}" if inner else problem.message
    return Problem(message, f"/{where}")


def sent_text(input: JSON, schema: Mapping[str, JSON]) -> str:
    """The text that a job's input was read from, or its JSON."""
    field = text_field(schema)
    if field == "" and isinstance(input, str):
        return input
    if field and isinstance(input, dict) and isinstance(input.get(field), str):
        return str(input[field])
    return json.dumps(input, ensure_ascii=False)


def _refused(path: str, message: str) -> InvalidInput:
    return InvalidInput([Problem(message, path)])
