"""Reads the upload of a file, multipart/form-data (RFC 7578), as its bytes come.

Only the form's fields are kept; the file's bytes are passed on.
"""

from collections.abc import Mapping

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.http.problems import Refused
from tierline.base.errors import InvalidInput, Problem

MOST_FIELDS = 20
MOST_FIELD_BYTES = 4_096  # of all fields' names, values and headers together
MOST_NAME = 255  # characters of a filename
FORM = "multipart/form-data"


class UploadReader:
    """Feed it the body. `feed` returns the bytes of the field `file` that it has read."""

    def __init__(self, content_type: str | None) -> None:
        """Raises Refused (415) for another type."""
        kind, options = parse_options_header(content_type or "")
        boundary = options.get(b"boundary")
        if kind.decode("latin-1").lower() != FORM or not boundary:
            raise Refused(
                "unsupported-media-type",
                f"send Content-Type: {FORM} with a boundary, not"
                f" {(content_type or 'nothing')[:80]}",
                headers={"Accept": FORM},
            )
        self.fields: dict[str, str] = {}
        self.filename: str | None = None  # once the file has begun
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._whole,
            },
        )
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        self._name = ""
        self._text = bytearray()  # the present field's value
        self._file = bytearray()  # the file's bytes of this feed
        self._in_file = False
        self._kept = 0
        self._ended = False

    def feed(self, body: bytes) -> bytes:
        """The bytes of the file in the next bytes of the body. Raises Refused and InvalidInput."""
        try:
            self._parser.write(body)
        except FormParserError as error:
            raise Refused("bad-request", f"the body is not {FORM}: {error}"[:200]) from None
        content = bytes(self._file)
        self._file.clear()
        return content

    def close(self) -> Mapping[str, str]:
        """The form's fields. Raises Refused for a body that ended too early."""
        if not self._ended:
            raise Refused("bad-request", f"the body is not {FORM}: it ends too early")
        return self.fields

    def _begin(self) -> None:
        self._headers = {}
        self._keep(0)

    def _keep(self, more: int) -> None:
        self._kept += more
        if self._kept > MOST_FIELD_BYTES or len(self.fields) > MOST_FIELDS:
            raise InvalidInput([Problem("the form has too many fields, or too long ones")])

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._keep(end - start)
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._keep(end - start)
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._text.clear()
        self._in_file = self._name == "file"
        if not self._in_file:
            return
        if self.filename is not None:
            raise InvalidInput([Problem("must be one file", "/file")])
        filename = options.get(b"filename", b"file").decode("utf-8", "replace")
        self.filename = "".join(c for c in filename if c.isprintable())[:MOST_NAME] or "file"

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._file += data[start:end]
        else:
            self._keep(end - start)
            self._text += data[start:end]

    def _end(self) -> None:
        if self._in_file:
            return
        if self._name in self.fields:
            raise InvalidInput([Problem("is sent twice", f"/{self._name}")])
        self.fields[self._name] = self._text.decode("utf-8", "replace")

    def _whole(self) -> None:
        self._ended = True
