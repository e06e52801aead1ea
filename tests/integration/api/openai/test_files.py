"""Files with OpenAI's own client."""

import asyncio
import hashlib
import io
import os
import time
from typing import Any
from uuid import UUID

import httpx
import openai
import psycopg
import pytest

from tests.support.api.served import Api
from tierline.base.settings import settings
from tierline.services.accounts.accounts import create_account, create_key
from tierline.services.files.files import PART_BYTES, remove_expired
from tierline.storage.db.engine import connect

Connection = psycopg.Connection[Any]
LINE = b'{"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": {}}\n'


@pytest.fixture(scope="module")
def big() -> bytes:
    """A file of several parts that does not compress."""
    return os.urandom(3 * PART_BYTES + 17)


def upload(client: openai.OpenAI, content: bytes, **more: Any) -> Any:
    return client.files.create(file=("in.jsonl", content), purpose="batch", **more)


def test_a_file_comes_back_as_it_was_sent(client: openai.OpenAI, big: bytes) -> None:
    made = upload(client, big)
    assert (made.bytes, made.filename, made.purpose) == (len(big), "in.jsonl", "batch")
    assert made.status == "processed"
    assert made.expires_at is not None
    assert made.expires_at - made.created_at == settings().file_days * 86_400
    assert client.files.content(made.id).read() == big
    assert client.files.retrieve(made.id) == made
    assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        client.files.content(made.id)


def test_the_async_client_does_the_same(api: Api, key: str, big: bytes) -> None:
    async def use() -> bytes:
        url = f"{api.url}/openai/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
            made = await client.files.create(file=io.BytesIO(big), purpose="batch")
            content = await client.files.content(made.id)
            await client.files.delete(made.id)
            return content.content

    assert asyncio.run(use()) == big


def test_a_list_has_pages(client: openai.OpenAI) -> None:
    ids = [upload(client, LINE).id for _ in range(3)]
    page = client.files.list(limit=2)
    assert [one.id for one in page.data] == [ids[2], ids[1]]
    assert page.has_more
    everything = [one.id for one in client.files.list(limit=2)]
    assert everything[:3] == ids[::-1]
    oldest_first = [one.id for one in client.files.list(order="asc")]
    assert oldest_first == everything[::-1]
    assert client.files.list(purpose="assistants").data == []


def test_a_file_expires_when_its_caller_says(
    client: openai.OpenAI, rows: Connection, database_url: str
) -> None:
    made = upload(client, LINE, expires_after={"anchor": "created_at", "seconds": 3600})
    assert made.expires_at == made.created_at + 3600
    rows.execute("UPDATE files SET expires_at = now() WHERE bytes = %s", (len(LINE),))
    with pytest.raises(openai.NotFoundError, match="expired"):
        client.files.content(made.id)
    with connect(database_url, "test") as connection:
        while remove_expired(connection):
            pass
    row = rows.execute("SELECT count(*) FROM files WHERE expires_at <= now()").fetchone()
    assert row == (0,)
    left = rows.execute(
        "SELECT count(*) FROM file_parts p WHERE NOT EXISTS"
        " (SELECT FROM files f WHERE f.id = p.file_id)"
    ).fetchone()
    assert left == (0,)


def test_another_account_sees_none_of_it(api: Api, client: openai.OpenAI, rows: Connection) -> None:
    made = upload(client, LINE)
    create_account(rows, "files-other")
    other = create_key(rows, "files-other", ("submit", "read")).key
    with openai.OpenAI(base_url=f"{api.url}/openai/v1", api_key=other, max_retries=0) as theirs:
        assert theirs.files.list().data == []
        for ask in (theirs.files.retrieve, theirs.files.content, theirs.files.delete):
            with pytest.raises(openai.NotFoundError):
                ask(made.id)
        with pytest.raises(openai.NotFoundError):
            theirs.batches.create(
                input_file_id=made.id, endpoint="/v1/responses", completion_window="24h"
            )
    assert client.files.retrieve(made.id).id == made.id


def test_an_idempotency_key_stands_for_one_file(client: openai.OpenAI) -> None:
    key = {"Idempotency-Key": f"upload-{time.monotonic_ns()}"}
    first = upload(client, LINE, extra_headers=key)
    again = client.files.with_raw_response.create(
        file=("in.jsonl", LINE), purpose="batch", extra_headers=key
    )
    assert again.parse().id == first.id
    assert again.headers["idempotent-replayed"] == "true"
    with pytest.raises(openai.BadRequestError, match="another payload"):
        upload(client, LINE + LINE, extra_headers=key)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"purpose": "fine-tune"}, "purpose"),
        ({"expires_after": {"anchor": "created_at", "seconds": 5}}, "expires_after.seconds"),
        ({"extra_body": {"tag": "x"}}, "tag"),
        ({"file": ("in.jsonl", b"")}, "file"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    client: openai.OpenAI, rows: Connection, more: dict[str, Any], param: str
) -> None:
    before = rows.execute("SELECT count(*) FROM files").fetchone()
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.create(**{"file": ("in.jsonl", LINE), "purpose": "batch", **more})
    assert refused.value.param == param
    assert rows.execute("SELECT count(*) FROM files").fetchone() == before


FORM = b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"nothing of a form", 400),
        (FORM % (b"purpose", b"", b"batch"), 400),
        (FORM % (b"file", b'; filename="a"', b"x"), 400),  # it ends before the form does
        (FORM % (b"purpose", b"", b"batch") + b"--b--\r\n", 400),
        (FORM % (b"file", b'; filename="a"', b"x") + b"--b--\r\n", 400),
        (FORM % (b"file", b'; filename="a"', b"x") * 2 + b"--b--\r\n", 400),
        (FORM % (b"purpose", b"", b"b" * 5_000) + b"--b--\r\n", 400),
        (
            FORM % (b"file", b'; filename="a"', b"x")
            + FORM % (b"purpose", b"", b"batch")
            + b"--b--\r\n",
            200,
        ),
    ],
)
def test_a_body_that_is_no_form_is_refused(
    api: Api, key: str, rows: Connection, body: bytes, status: int
) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "multipart/form-data; boundary=b"}
    response = httpx.post(f"{api.url}/openai/v1/files", content=body, headers=headers, timeout=60)
    assert response.status_code == status, response.text
    left = rows.execute("SELECT count(*) FROM files WHERE status <> 'stored'").fetchone()
    assert left == (0,)


def test_another_type_is_refused(api: Api, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    response = httpx.post(f"{api.url}/openai/v1/files", json={}, headers=headers, timeout=60)
    assert response.status_code == 415


def test_a_file_that_is_too_large_is_refused(
    api: Api, client: openai.OpenAI, rows: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "max_file_bytes", PART_BYTES + 10)
    with pytest.raises(openai.BadRequestError, match="a file has at most"):
        upload(client, b"x" * (PART_BYTES + 11))
    with pytest.raises(openai.APIStatusError) as refused:
        upload(client, b"x" * (2 * PART_BYTES))  # by its announced length, before it is read
    assert refused.value.status_code == 413
    assert upload(client, b"x" * (PART_BYTES + 10)).bytes == PART_BYTES + 10
    left = rows.execute("SELECT count(*) FROM files WHERE status <> 'stored'").fetchone()
    assert left == (0,)


def test_an_account_has_a_limit_for_all_of_its_files(
    client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(client, LINE)
    monkeypatch.setattr(settings(), "max_account_file_bytes", 10)
    with pytest.raises(openai.RateLimitError, match="delete some"):
        upload(client, LINE)


def test_a_whole_file_is_never_in_memory(
    client: openai.OpenAI, rows: Connection, big: bytes
) -> None:
    made = upload(client, big)
    sizes = rows.execute(
        "SELECT begins, length(body) FROM file_parts p JOIN files f ON f.id = p.file_id"
        " WHERE f.sha256 = %s AND f.id = %s ORDER BY begins",
        (hashlib.sha256(big).digest(), UUID(hex=made.id.removeprefix("file-"))),
    ).fetchall()
    assert [size for _, size in sizes] == [PART_BYTES] * 3 + [17]
    assert [begins for begins, _ in sizes] == [PART_BYTES * at for at in range(4)]
