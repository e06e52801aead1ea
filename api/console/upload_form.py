"""Reading a form with a file (multipart/form-data, RFC 7578)."""

import hmac
from collections.abc import Mapping
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from typing import Annotated, NamedTuple

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from api.console.session import (
    FORM_FIELD,
    MOST_FIELDS,
    form_token,
    refuse_other_sites,
    session_cookie,
    stale_form,
)
from api.http.problems import Refused

_KIND = "multipart/form-data"


class SentFile(NamedTuple):
    """A form with one file."""

    fields: Mapping[str, str]
    name: str
    content: bytes


async def _sent(request: Request) -> SentFile:
    """The form that a page of this session sent. Raises Refused (400, 403, 415)."""
    refuse_other_sites(request)
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != _KIND:
        raise Refused("unsupported-media-type", f"send Content-Type: {_KIND}")
    token = session_cookie(request).read(request)
    body = await request.body()
    form = await run_in_threadpool(_read, kind.encode("latin-1", "replace"), body)
    sent = form.fields.get(FORM_FIELD, "")
    if not token or not hmac.compare_digest(sent.encode(), form_token(token).encode()):
        raise stale_form()
    return form


def _read(kind: bytes, body: bytes) -> SentFile:
    fields: dict[str, str] = {}
    name, content = "", b""
    message = BytesParser(EmailMessage, policy=HTTP).parsebytes(
        b"Content-Type: " + kind + b"\r\n\r\n" + body
    )
    for number, part in enumerate(message.iter_parts()):
        if number >= MOST_FIELDS:
            raise Refused("bad-request", "the form has too many fields")
        field = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        if not isinstance(field, str) or not isinstance(value, bytes):
            raise Refused("bad-request", "the form cannot be read")
        if part.get_filename() is not None:
            name, content = part.get_filename() or "", value
        else:
            fields[field] = value.decode("utf-8", "replace")
    return SentFile(fields, name, content)


Sent = Annotated[SentFile, Depends(_sent)]
"""A form with a file. Name it behind the caller, so that a stranger's body is not read."""
