"""Reading a form with a file (multipart/form-data, RFC 7578)."""

import hmac
from collections.abc import Mapping
from typing import Annotated, NamedTuple

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from api.console.session import (
    FORM_FIELD,
    form_token,
    refuse_other_sites,
    session_cookie,
    stale_form,
)
from api.http.uploads import UploadReader


class SentFile(NamedTuple):
    """A form with one file."""

    fields: Mapping[str, str]
    name: str
    content: bytes


def read_file_form(kind: str, body: bytes) -> SentFile:
    """The fields, and the file in the field `file`; without one it is empty.

    Raises Refused (400, 415), and InvalidInput for too many fields.
    """
    reader = UploadReader(kind)
    content = reader.feed(body)
    return SentFile(reader.close(), reader.filename or "", content)


async def _sent(request: Request) -> SentFile:
    """The form that a page of this session sent. Raises Refused (400, 403, 415), InvalidInput."""
    refuse_other_sites(request)
    token = session_cookie(request).read(request)
    kind = request.headers.get("content-type", "")
    form = await run_in_threadpool(read_file_form, kind, await request.body())
    sent = form.fields.get(FORM_FIELD, "")
    if not token or not hmac.compare_digest(sent.encode(), form_token(token).encode()):
        raise stale_form()
    return form


Sent = Annotated[SentFile, Depends(_sent)]
"""A form with a file. Name it behind the caller, so that a stranger's body is not read."""
