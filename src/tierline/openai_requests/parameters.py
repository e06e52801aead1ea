"""Which parameters of OpenAI's requests are kept, which may only have the value that changes
nothing, and which are refused.

Nothing is ignored: what a feature decides, or what tierline does not have, is a 400 that names it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tierline.base.errors import InvalidInput, Problem
from tierline.base.json_text import JSON

MOST_METADATA = 16
MOST_METADATA_KEY = 64
MOST_METADATA_VALUE = 512
OURS = "tierline."  # the beginning of the names in `metadata` that tierline adds

_FEATURE_DECIDES = "is not supported: the feature's file decides it; leave it out"
_NO_CONVERSATION = "is not supported: each job answers one input; leave it out"
_NO_TOOLS = "is not supported: a feature has no tools; leave it out"
_NO_CACHE = "is not supported: tierline caches no prompts; leave it out"

# Parameters of both, with the values besides null that change nothing, and why others are refused.
_BOTH: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "temperature": ((), _FEATURE_DECIDES),
    "top_p": ((), _FEATURE_DECIDES),
    "moderation": ((), "is not supported; leave it out"),
    "parallel_tool_calls": ((True, False), "must be true or false"),
    "prompt_cache_key": ((), _NO_CACHE),
    "prompt_cache_options": ((), _NO_CACHE),
    "prompt_cache_retention": ((), _NO_CACHE),
    "service_tier": (("auto", "default"), "must be auto or default: the feature's file decides it"),
    "store": (
        (True,),
        "must be true: jobs are stored. The feature's `retention` says for how long, and"
        " DELETE /v1/jobs/{id}/content removes one's content",
    ),
    "tool_choice": (("auto", "none"), _NO_TOOLS),
    "tools": (([],), _NO_TOOLS),
    "top_logprobs": ((0,), "is not supported: the answer is checked as a whole; leave it out"),
}
_RESPONSES: Mapping[str, tuple[tuple[Any, ...], str]] = {
    **_BOTH,
    "access_programs": ((), "is not supported; leave it out"),
    "background_options": ((), "is not supported; leave it out"),
    "context_management": (([],), _NO_CONVERSATION),
    "conversation": ((), _NO_CONVERSATION),
    "image": ((), "is not supported: a feature's input is text"),
    "include": (([],), "is not supported: there is nothing to include; leave it out"),
    "max_output_tokens": ((), _FEATURE_DECIDES),
    "max_tool_calls": ((), _NO_TOOLS),
    "previous_response_id": ((), _NO_CONVERSATION),
    "prompt": ((), _FEATURE_DECIDES),
    "reasoning": (({},), _FEATURE_DECIDES),
    "truncation": (("disabled",), "must be disabled: an input is never cut"),
}
_CHAT: Mapping[str, tuple[tuple[Any, ...], str]] = {
    **_BOTH,
    "audio": ((), "is not supported: an answer is text"),
    "frequency_penalty": ((0,), _FEATURE_DECIDES),
    "function_call": (("auto", "none"), _NO_TOOLS),
    "functions": (([],), _NO_TOOLS),
    "logit_bias": (({},), _FEATURE_DECIDES),
    "logprobs": ((False,), "is not supported: the answer is checked as a whole; leave it out"),
    "max_completion_tokens": ((), _FEATURE_DECIDES),
    "max_tokens": ((), _FEATURE_DECIDES),
    "modalities": ((["text"],), "is not supported: an answer is text"),
    "n": ((1,), "must be 1: a job has one answer"),
    "prediction": ((), "is not supported; leave it out"),
    "presence_penalty": ((0,), _FEATURE_DECIDES),
    "reasoning_effort": ((), _FEATURE_DECIDES),
    "seed": ((), _FEATURE_DECIDES),
    "stop": (([],), _FEATURE_DECIDES),
    "verbosity": ((), _FEATURE_DECIDES),
    "web_search_options": ((), _NO_TOOLS),
}
_ACCEPTED = ("model", "metadata", "stream", "stream_options", "user", "safety_identifier")
ACCEPTED_BY_RESPONSES = (*_ACCEPTED, "input", "instructions", "background", "text")
ACCEPTED_BY_CHAT = (*_ACCEPTED, "messages", "response_format")


@dataclass(frozen=True)
class AcceptedRequest:
    """A request whose parameters are all accepted."""

    model: str
    sent: JSON  # `input` or `messages`
    instructions: str | None  # besides those in messages
    format: Mapping[str, JSON] | None  # of the text; None: any
    metadata: Mapping[str, JSON] | None
    user: str | None
    background: bool
    stream: bool
    include_usage: bool


def read_response_request(body: JSON) -> AcceptedRequest:
    """The body of POST /responses. Raises InvalidInput with all parameters that are refused."""
    sent = _checked(body, _RESPONSES, ACCEPTED_BY_RESPONSES, ("model", "input"))
    text = sent.get("text") or {}
    problems = list(_object_problems("text", text, {"format", "verbosity"}))
    if not problems and text.get("verbosity") is not None:
        problems.append(Problem(_FEATURE_DECIDES, "/text/verbosity"))
    if problems:
        raise InvalidInput(problems)
    return _accepted(sent, sent["input"], text.get("format"))


def read_chat_request(body: JSON) -> AcceptedRequest:
    """The body of POST /chat/completions. Raises InvalidInput as `read_response_request`."""
    sent = _checked(body, _CHAT, ACCEPTED_BY_CHAT, ("model", "messages"))
    if not isinstance(sent["messages"], list):
        raise InvalidInput([Problem("must be a list of messages", "/messages")])
    return _accepted(sent, sent["messages"], _flat(sent.get("response_format")))


def _flat(format: JSON) -> JSON:
    """A chat's response_format, in the form of a response's text.format."""
    if isinstance(format, dict) and isinstance(format.get("json_schema"), dict):
        inner = {name: value for name, value in format.items() if name != "json_schema"}
        return inner | format["json_schema"]
    return format


def _checked(
    body: JSON,
    limited: Mapping[str, tuple[tuple[Any, ...], str]],
    accepted: Sequence[str],
    needed: Sequence[str],
) -> dict[str, Any]:
    """The parameters that are not null. Raises InvalidInput."""
    if not isinstance(body, dict):
        raise InvalidInput([Problem("the body must be a JSON object")])
    sent = {name: value for name, value in body.items() if value is not None}
    problems = [
        Problem("is required and missing", f"/{name}") for name in needed if name not in sent
    ]
    for name, value in sent.items():
        if name in limited:
            allowed, why = limited[name]
            if not any(type(value) is type(one) and value == one for one in allowed):
                problems.append(Problem(why, f"/{name}"))
        elif name not in accepted:
            problems.append(Problem("is not a parameter that is known here", f"/{name}"))
    problems += _value_problems(sent)
    if problems:
        raise InvalidInput(problems)
    return sent


def _value_problems(sent: Mapping[str, Any]) -> Iterable[Problem]:
    for name in ("stream", "background"):
        if not isinstance(sent.get(name, False), bool):
            yield Problem("must be true or false", f"/{name}")
    if not isinstance(sent.get("instructions", ""), str):
        yield Problem("must be a text", "/instructions")
    if "metadata" in sent:
        yield from metadata_problems(sent["metadata"])
    names = {"user", "safety_identifier"} & sent.keys()
    for name in sorted(names):
        if not (isinstance(sent[name], str) and 0 < len(sent[name]) <= 255):
            yield Problem("must be a text of 1 to 255 characters", f"/{name}")
    if len(names) == 2 and sent["user"] != sent["safety_identifier"]:
        yield Problem("differs from `user`: a job has one user", "/safety_identifier")
    options = sent.get("stream_options")
    if options is not None:
        if not sent.get("stream"):
            yield Problem("is only for stream: true", "/stream_options")
        allowed = {"include_obfuscation"} | ({"include_usage"} if "messages" in sent else set())
        problems = list(_object_problems("stream_options", options, allowed))
        yield from problems
        if not problems and options.get("include_obfuscation"):
            yield Problem(
                "must be false: events are not padded", "/stream_options/include_obfuscation"
            )


def _object_problems(name: str, value: Any, allowed: set[str]) -> Iterable[Problem]:
    if not isinstance(value, dict):
        yield Problem("must be an object", f"/{name}")
        return
    for key in value.keys() - allowed:
        yield Problem("is not a parameter that is known here", f"/{name}/{key}")


def metadata_problems(metadata: Any) -> Iterable[Problem]:
    """The problems of a request's metadata, by OpenAI's bounds."""
    if not isinstance(metadata, dict):
        yield Problem("must be an object", "/metadata")
        return
    if len(metadata) > MOST_METADATA:
        yield Problem(f"has {len(metadata):,} names; at most {MOST_METADATA}", "/metadata")
    for name, value in metadata.items():
        if name.startswith(OURS):
            yield Problem(
                f"names that begin with {OURS} are added by tierline", f"/metadata/{name}"
            )
        elif len(name) > MOST_METADATA_KEY:
            yield Problem(f"a name has at most {MOST_METADATA_KEY} characters", "/metadata")
        elif not isinstance(value, str) or len(value) > MOST_METADATA_VALUE:
            most = MOST_METADATA_VALUE
            yield Problem(f"must be a text of at most {most} characters", f"/metadata/{name}")


def _accepted(sent: Mapping[str, Any], content: JSON, format: JSON) -> AcceptedRequest:
    if format is not None and not isinstance(format, dict):
        name = "response_format" if "messages" in sent else "text/format"
        raise InvalidInput([Problem("must be an object", f"/{name}")])
    return AcceptedRequest(
        model=sent["model"],
        sent=content,
        instructions=sent.get("instructions"),
        format=format,
        metadata=sent.get("metadata"),
        user=sent.get("safety_identifier") or sent.get("user"),
        background=sent.get("background", False),
        stream=sent.get("stream", False),
        include_usage=bool((sent.get("stream_options") or {}).get("include_usage")),
    )
