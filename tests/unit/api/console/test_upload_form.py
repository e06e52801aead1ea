"""Reading a form with a file."""

import pytest

from api.console.upload_form import SentFile, read_file_form
from api.http.problems import Refused
from tierline.base.errors import InvalidInput

KIND = "multipart/form-data; boundary=line"
FIELD = b'--line\r\nContent-Disposition: form-data; name="feature"\r\n\r\ninvoice\r\n'
NAMED = b'--line\r\nContent-Disposition: form-data; name="file"; filename="'
END = b"--line--\r\n"


def test_the_fields_and_the_file_are_read() -> None:
    body = FIELD + NAMED + "Überblick.csv".encode() + b'"\r\n\r\na,b\r\n1,2\r\n\r\n' + END
    expected = SentFile({"feature": "invoice"}, "Überblick.csv", b"a,b\r\n1,2\r\n")
    assert read_file_form(KIND, body) == expected


def test_a_form_without_a_file_has_an_empty_one() -> None:
    assert read_file_form(KIND, FIELD + END) == SentFile({"feature": "invoice"}, "", b"")


@pytest.mark.parametrize(
    "body",
    [
        FIELD * 100_000 + END,
        b"--line\r\nContent-Disposition: " + b"(" * 4_000 + b"\r\n\r\nx\r\n" + END,
        b"--line\r\nContent-Disposition: form-data" + b"; a=b" * 100_000 + b"\r\n\r\nx\r\n" + END,
        FIELD,
        b"",
    ],
    ids=["many-fields", "nested-comments", "many-parameters", "cut", "empty"],
)
def test_what_no_browser_sends_is_refused_or_read_as_no_field(body: bytes) -> None:
    try:
        form = read_file_form(KIND, body)
    except (Refused, InvalidInput):
        return
    assert "csrf" not in form.fields
    assert form.content == b""
