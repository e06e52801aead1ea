"""The lines of a file for OpenAI's batches: `{"custom_id", "method", "url", "body"}` each.

A line that is not valid becomes a problem of its row and stops no other.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tierline.base.errors import InvalidInput, Problem
from tierline.base.json_text import JSON, NotJson, parse_json, short
from tierline.features import Feature
from tierline.openai_requests.formats import check_format
from tierline.openai_requests.inputs import job_input, read_messages
from tierline.openai_requests.model_names import read_model_name
from tierline.openai_requests.parameters import read_chat_request, read_response_request
from tierline.rules.batches import MAX_CUSTOM_ID

RESPONSES, CHAT = "/v1/responses", "/v1/chat/completions"
ENDPOINTS = (RESPONSES, CHAT)
_FIELDS = ("custom_id", "method", "url", "body")
_SENT = {RESPONSES: ("input", "text/format"), CHAT: ("messages", "response_format")}


@dataclass(frozen=True)
class RawLine:
    """A line of the file."""

    number: int  # from 1, with blank ones
    raw: bytes | None  # without its end; None: it is longer than a line may be
    end: int  # the offset of the next line in the file
    size: int  # bytes


@dataclass(frozen=True)
class Request:
    """A valid line, as a job of the batch's feature."""

    custom_id: str
    input: JSON
    metadata: Mapping[str, JSON] | None
    user: str | None


class BadLine(Exception):
    """A line that is not valid, with its custom_id if that could be read."""

    def __init__(self, custom_id: str | None, problems: Iterable[Problem]) -> None:
        super().__init__("the line is not valid")
        self.custom_id = custom_id
        self.problems = tuple(problems)


def raw_lines(
    blocks: Iterable[bytes], most: int, *, offset: int = 0, number: int = 0
) -> Iterator[RawLine]:
    """The lines of a file that comes in blocks. Of a line with more than `most` bytes nothing is
    kept. `offset` and `number`: of the last line before them."""
    begun = bytearray()
    size = 0
    for block in blocks:
        start = 0
        while (end := block.find(b"\n", start)) >= 0:
            size += end - start
            if size <= most:
                begun += block[start:end]
            offset += size + 1
            number += 1
            yield RawLine(number, bytes(begun) if size <= most else None, offset, size)
            begun.clear()
            size, start = 0, end + 1
        size += len(block) - start
        if size <= most:
            begun += block[start:]
    if size:
        whole = bytes(begun) if size <= most else None
        yield RawLine(number + 1, whole, offset + size, size)


def model_of(raw: bytes, max_depth: int) -> str | None:
    """The model that a line names, if it can be read."""
    try:
        body = _object(raw, max_depth).get("body")
    except BadLine:
        return None
    model = body.get("model") if isinstance(body, dict) else None
    return model if isinstance(model, str) else None


def read_line(
    line: RawLine, feature: Feature, version: int, endpoint: str, max_depth: int
) -> Request:
    """The job that a line asks for, whose input is not checked against the schema yet.

    Raises BadLine.
    """
    if line.raw is None:
        raise BadLine(None, [Problem(f"the line has {line.size:,} bytes, which is too long")])
    members = _object(line.raw, max_depth)
    sent_id = members.get("custom_id")
    is_id = isinstance(sent_id, str) and 0 < len(sent_id) <= MAX_CUSTOM_ID
    custom_id = str(sent_id) if is_id else None
    problems = list(_problems(members, endpoint))
    if custom_id is None:
        problems.append(Problem(f"must be a text of 1 to {MAX_CUSTOM_ID} characters", "/custom_id"))
    if custom_id is None or problems:
        raise BadLine(custom_id, problems)
    try:
        return _request(custom_id, members["body"], feature, version, endpoint, max_depth)
    except InvalidInput as refused:
        moved = [Problem(one.message, f"/body{one.path}") for one in refused.problems]
        raise BadLine(custom_id, moved) from None


def _object(raw: bytes, max_depth: int) -> dict[str, JSON]:
    try:
        members = parse_json(raw.decode("utf-8"), max_depth)
    except UnicodeDecodeError as error:
        message = f"not UTF-8 at byte {error.start + 1} of the line"
        raise BadLine(None, [Problem(message)]) from None
    except NotJson as error:
        raise BadLine(None, [Problem(error.message)]) from None
    if not isinstance(members, dict):
        raise BadLine(None, [Problem("a line is a JSON object")])
    return members


def _problems(members: Mapping[str, JSON], endpoint: str) -> Iterator[Problem]:
    for name in sorted(members.keys() - set(_FIELDS))[:10]:
        yield Problem("is not a field of a line", f"/{name[:80]}")
    if members.get("method") != "POST":
        yield Problem("must be POST", "/method")
    if members.get("url") != endpoint:
        yield Problem(f"must be the batch's endpoint, {endpoint}", "/url")
    if not isinstance(members.get("body"), dict):
        yield Problem("must be a request: a JSON object", "/body")


def _request(
    custom_id: str, body: JSON, feature: Feature, version: int, endpoint: str, max_depth: int
) -> Request:
    request = read_chat_request(body) if endpoint == CHAT else read_response_request(body)
    if request.stream:
        raise InvalidInput([Problem("must be false: a batch is not streamed", "/stream")])
    name, named = read_model_name(request.model)
    if name != feature.name or named not in (None, version):
        model = f"{feature.name}@{version}"
        raise InvalidInput(
            [Problem(f"is {short(request.model)}, but the batch's model is {model}", "/model")]
        )
    where, format = _SENT[endpoint]
    messages = read_messages(request.sent, where, request.instructions)
    check_format(request.format, feature.output_schema, f"/{format}")
    fitted = job_input(messages, feature, where, max_depth)
    metadata = {**(request.metadata or {}), **fitted.notes}
    return Request(custom_id, fitted.input, metadata or None, request.user)


def where_sent_in(endpoint: str) -> str:
    """The name of the input in the endpoint's requests."""
    return _SENT[endpoint][0]
