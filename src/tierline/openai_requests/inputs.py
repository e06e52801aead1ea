"""A job's input from OpenAI's `input` or `messages`, and back.

The rule: the texts of the user's messages are joined with a blank line. If the feature's input is a
text, or an object with one field that is a text, they go there. Any other input is read from them
as JSON. The caller's instructions and the earlier messages of a conversation are refused, left out
or made fields of the input: the feature's `openai` options say which.
"""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from tierline.base.errors import InvalidInput, Problem
from tierline.base.json_text import JSON, NotJson, parse_json
from tierline.features import Feature
from tierline.features.openai_options import CONVERSATION_FIELD, INSTRUCTIONS_FIELD
from tierline.openai_requests.parameters import OURS

TEXT_PARTS = ("input_text", "text")  # of a response's input, and of a chat's message
ANSWER_PARTS = ("output_text", "text")  # of an assistant's message, in the same two forms
INSTRUCTIONS = f"{OURS}instructions"
CONVERSATION = f"{OURS}conversation"
SAME, IGNORED, AS_INPUT = "same", "ignored", "input"
NOTES: Mapping[str, frozenset[str]] = {
    INSTRUCTIONS: frozenset({SAME, IGNORED, AS_INPUT}),
    CONVERSATION: frozenset({IGNORED, AS_INPUT}),
}
"""What a job's metadata may say of the caller's instructions and of earlier messages."""

_SYSTEM = ("system", "developer")
_NO_TOOLS = {
    "tool": "a feature has no tools: leave this message out",
    "function": "a feature has no tools: leave this message out",
}
_OF_ANSWERS = ("annotations", "logprobs", "refusal", "tool_calls", "function_call", "audio")
"""Fields of an assistant's message or part that may be there, but empty."""


@dataclass(frozen=True)
class Message:
    """One message of a request."""

    role: str
    content: str
    path: str = ""


@dataclass(frozen=True)
class RequestMessages:
    """The texts of a request, by their role."""

    text: str  # of the user, after the assistant's last message
    instructions: Sequence[Message] = ()
    earlier: Sequence[Message] = ()  # the user's and the assistant's, up to the assistant's last


@dataclass(frozen=True)
class Fitted:
    """A job's input, and how the rest of the request was used, for the job's metadata."""

    input: JSON
    notes: Mapping[str, str] = field(default_factory=dict)


def text_field(schema: Mapping[str, JSON], others: Set[str] = frozenset()) -> str | None:
    """Where the text goes: a field's name, "" for an input that is a text itself, and None for an
    input that is read as JSON. `others`: fields that are not for the text."""
    if _is_text(schema):
        return ""
    properties = schema.get("properties")
    if schema.get("type") != "object" or not isinstance(properties, dict):
        return None
    fields = [(name, inner) for name, inner in properties.items() if name not in others]
    if len(fields) == 1:
        ((name, inner),) = fields
        if isinstance(inner, dict) and _is_text(inner):
            return str(name)
    return None


def _is_text(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "string" or (isinstance(kind, list) and "string" in kind)


def read_messages(sent: JSON, where: str, instructions: str | None = None) -> RequestMessages:
    """The texts of `input` (a text or items) or of `messages`. `where`: the name of that field.
    `instructions`: the request's parameter.

    Raises InvalidInput for anything that is not text.
    """
    system = [Message("system", instructions, "/instructions")] if instructions else []
    if isinstance(sent, str):
        return RequestMessages(sent, system)
    if not isinstance(sent, list) or not sent:
        raise _refused(f"/{where}", "must be a text or a list of messages, and not empty")
    spoken: list[Message] = []
    for place, item in enumerate(sent):
        message = _message(item, f"/{where}/{place}")
        (system if message.role == "system" else spoken).append(message)
    last = max((at for at, one in enumerate(spoken) if one.role == "assistant"), default=-1)
    last_turns = spoken[last + 1 :]
    if not last_turns:
        raise _refused(f"/{where}", "the last message must be the user's: it is the job's input")
    system = [one for one in system if one.content.strip()]
    return RequestMessages(
        "\n\n".join(one.content for one in last_turns), system, spoken[: last + 1]
    )


def _message(item: JSON, path: str) -> Message:
    if not isinstance(item, dict):
        raise _refused(path, "must be a message: an object with a role and a content")
    kind = item.get("type", "message")
    if kind != "message":
        raise _refused(f"{path}/type", f"{kind!r} is not supported: send messages with text")
    role = item.get("role")
    if role not in ("user", "assistant", *_SYSTEM):
        why = _NO_TOOLS.get(str(role), "must be user, assistant, system or developer")
        raise _refused(f"{path}/role", f"{role!r} is not supported: {why}")
    answers = role == "assistant"
    _refuse_more(item, ("type", "role", "content", "id", "status"), path, answers=answers)
    content = item.get("content")
    role = "system" if role in _SYSTEM else str(role)
    if isinstance(content, str):
        return Message(role, content, f"{path}/role")
    if not isinstance(content, list) or not content:
        raise _refused(f"{path}/content", "must be a text or a list of parts with text")
    parts = [
        _part(part, f"{path}/content/{place}", answers=answers)
        for place, part in enumerate(content)
    ]
    return Message(role, "".join(parts), f"{path}/role")


def _part(part: JSON, path: str, *, answers: bool) -> str:
    if not isinstance(part, dict) or part.get("type") not in (
        ANSWER_PARTS if answers else TEXT_PARTS
    ):
        kind = part.get("type") if isinstance(part, dict) else None
        raise _refused(f"{path}/type", f"{kind!r} is not supported: a feature's input is text")
    _refuse_more(part, ("type", "text"), path, answers=answers)
    text = part.get("text")
    if not isinstance(text, str):
        raise _refused(f"{path}/text", "must be a text")
    return text


def _refuse_more(
    sent: Mapping[str, JSON], allowed: Sequence[str], path: str, *, answers: bool
) -> None:
    for name, value in sent.items():
        empty = value is None or (answers and name in _OF_ANSWERS and value == [])
        if name not in allowed and not empty:
            raise _refused(f"{path}/{name}", "is not supported: leave it out")


def job_input(messages: RequestMessages, feature: Feature, where: str, max_depth: int) -> Fitted:
    """The job's input. Raises InvalidInput for what the feature refuses, and for a text that had to
    be JSON and is not."""
    notes: dict[str, str] = {}
    fields: dict[str, JSON] = {}
    _fit_instructions(messages, feature, notes, fields)
    _fit_conversation(messages, feature, notes, fields)
    name = text_field(feature.input_schema, feature.openai.fields())
    if name == "":
        return Fitted(messages.text, notes)
    if name is not None:
        return Fitted({name: messages.text, **fields}, notes)
    try:
        read = parse_json(messages.text, max_depth)
    except NotJson as error:
        raise _refused(
            f"/{where}",
            "the feature's input is not one text, so the text of the user's messages must be its"
            f" JSON, and it is not: {error.message}",
        ) from None
    if fields and isinstance(read, dict):
        twice = sorted(fields.keys() & read.keys())
        if twice:
            raise _refused(f"/{where}", f"the JSON has {twice[0]!r}, which other messages give too")
        read = {**read, **fields}
    return Fitted(read, notes)


def _fit_instructions(
    messages: RequestMessages, feature: Feature, notes: dict[str, str], fields: dict[str, JSON]
) -> None:
    if not messages.instructions:
        return
    text = "\n\n".join(one.content for one in messages.instructions)
    treatment = feature.openai.instructions
    if treatment == "input":
        notes[INSTRUCTIONS] = AS_INPUT
        fields[INSTRUCTIONS_FIELD] = text
    elif text.split() == feature.instructions.split():
        notes[INSTRUCTIONS] = SAME
    elif treatment == "ignore":
        notes[INSTRUCTIONS] = IGNORED
    else:
        raise _refused(
            messages.instructions[0].path,
            "these instructions differ from those of the feature's file, which were evaluated: send"
            " the same, leave them out, or say in the file what to do with them:"
            " `openai: {instructions: ignore}` or `openai: {instructions: input}`",
        )


def _fit_conversation(
    messages: RequestMessages, feature: Feature, notes: dict[str, str], fields: dict[str, JSON]
) -> None:
    if not messages.earlier:
        return
    treatment = feature.openai.conversation
    if treatment == "input":
        notes[CONVERSATION] = AS_INPUT
        fields[CONVERSATION_FIELD] = [
            {"role": one.role, "content": one.content} for one in messages.earlier
        ]
    elif treatment == "ignore":
        notes[CONVERSATION] = IGNORED
    else:
        raise _refused(
            messages.earlier[-1].path,
            "a feature answers one input and has no conversation: leave out the assistant's"
            " messages and what came before them, or say in the feature's file what to do with"
            " them: `openai: {conversation: ignore}` or `openai: {conversation: input}`",
        )


def where_sent(problem: Problem, where: str) -> Problem:
    """A problem of a job's field, with the name of the field here."""
    if problem.path == "/feature":
        return Problem(problem.message, "/model")
    if problem.path != "/input" and not problem.path.startswith("/input/"):
        return problem
    inner = problem.path.removeprefix("/input")
    message = f"{inner} of the feature's input: {problem.message}" if inner else problem.message
    return Problem(message, f"/{where}")


def sent_messages(input: JSON, feature: Feature) -> list[Message]:
    """The messages that a job's input was read from: the last one is the user's text, or JSON."""
    others = feature.openai.fields()
    name = text_field(feature.input_schema, others)
    if name == "" and isinstance(input, str):
        return [Message("user", input)]
    if not isinstance(input, dict):
        return [Message("user", json.dumps(input, ensure_ascii=False))]
    messages = []
    instructions = input.get(INSTRUCTIONS_FIELD) if INSTRUCTIONS_FIELD in others else None
    if isinstance(instructions, str):
        messages.append(Message("developer", instructions))
    earlier = input.get(CONVERSATION_FIELD) if CONVERSATION_FIELD in others else None
    for one in earlier if isinstance(earlier, list) else ():
        if isinstance(one, dict):
            messages.append(Message(str(one.get("role")), str(one.get("content"))))
    if name and isinstance(input.get(name), str):
        return [*messages, Message("user", input[name])]
    rest = {key: value for key, value in input.items() if key not in others}
    return [*messages, Message("user", json.dumps(rest, ensure_ascii=False))]


def _refused(path: str, message: str) -> InvalidInput:
    return InvalidInput([Problem(message, path)])
