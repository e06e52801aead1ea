"""Reading an upload as its bytes come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.problems import Refused
from api.http.uploads import UploadReader
from tierline.base.errors import InvalidInput

TYPE = "multipart/form-data; boundary=line"
FIELD = b'--line\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
FILE = b'--line\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n%s\r\n'
END = b"--line--\r\n"


def read(body: bytes, sizes: list[int]) -> tuple[dict[str, str], str | None, bytes]:
    reader = UploadReader(TYPE)
    content = b""
    for size in [*sizes, len(body)]:
        content += reader.feed(body[:size])
        body = body[size:]
    return dict(reader.close()), reader.filename, content


@given(
    st.lists(st.sampled_from([b"\r\n", b"--line", b"x", b"-", b"\n", b"\xff"]), max_size=12),
    st.lists(st.integers(1, 40), max_size=12),
    st.booleans(),
)
def test_the_file_comes_out_as_it_was_sent_however_it_is_cut(
    pieces: list[bytes], sizes: list[int], file_first: bool
) -> None:
    content = b"".join(pieces).replace(b"\r\n--line", b"")
    parts = [FIELD, FILE % content]
    body = b"".join(parts[::-1] if file_first else parts) + END
    assert read(body, sizes) == ({"purpose": "batch"}, "a.jsonl", content)


@given(st.binary(max_size=120), st.lists(st.integers(1, 40), max_size=5))
def test_any_bytes_are_a_form_or_are_refused(body: bytes, sizes: list[int]) -> None:
    with pytest.raises((Refused, InvalidInput)):
        read(body, sizes)


@pytest.mark.parametrize(
    "kind", [None, "", "application/json", "multipart/form-data", "multipart/mixed; boundary=x"]
)
def test_another_type_is_refused(kind: str | None) -> None:
    with pytest.raises(Refused):
        UploadReader(kind)


def test_fields_do_not_grow_without_bound() -> None:
    fields = b"".join(FIELD.replace(b"purpose", b"%d" % at) for at in range(1_000))
    with pytest.raises(InvalidInput):
        UploadReader(TYPE).feed(fields)
    with pytest.raises((Refused, InvalidInput)):
        UploadReader(TYPE).feed(b"--line\r\n" + b"X-Y: z\r\n" * 1_000)


def test_a_filename_is_kept_without_what_cannot_be_printed() -> None:
    named = FILE.replace(b"a.jsonl", b"a\x01\xe2\x80\xae" + b"b" * 900)
    _, name, _ = read(FIELD + named % b"x" + END, [])
    assert name is not None
    assert name.startswith("ab")
    assert len(name) == 255
