"""The encoding of FILE: --encoding, and the message for a file that is not UTF-8."""

import codecs
from pathlib import Path

from tierline.base.errors import UsageError

_CHUNK = 1024 * 1024  # bytes read at a time
_FEW = 3  # lines that are not UTF-8, before the whole file counts as another encoding
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def encoding_named(name: str) -> str:
    """Python's name of an encoding. Raises UsageError unless each of its lines ends with the byte
    of a line feed, as lines are read before they are decoded.
    """
    try:
        codec = codecs.lookup(name).name
        ascii_lines = "a{\n".encode(codec) == b"a{\n"
    except (LookupError, UnicodeError):
        raise UsageError(
            f"--encoding: {name!r} is not known; examples: latin-1, cp1252, shift_jis"
        ) from None
    if not ascii_lines:
        raise UsageError(
            f"--encoding: {name} is not read; convert the file: iconv -f {name} -t utf-8 FILE > NEW"
        )
    return codec


def refuse_other_encoding(path: Path) -> None:
    """Raises UsageError if a whole file is not UTF-8: several of its lines are not, and no other
    line has more than ASCII. A single line that is not UTF-8 is an invalid row of its own.
    """
    with path.open("rb") as file:
        if file.read(2) in _UTF_16:
            raise UsageError(
                f"{path} is UTF-16: convert it: iconv -f utf-16 -t utf-8 '{path}' > NEW"
            )
        file.seek(0)
        first, wrong, number, western = 0, 0, 0, True
        while lines := file.readlines(_CHUNK):
            if b"".join(lines).isascii():
                number += len(lines)
                continue
            for line in lines:
                number += 1
                if line.isascii():
                    continue
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    first, wrong = first or number, wrong + 1
                    western = western and not any(0x80 <= byte <= 0x9F for byte in line)
                else:
                    return
    if wrong >= _FEW:
        guess = "latin-1" if western else "cp1252"
        raise UsageError(
            f"{path}: not UTF-8 from line {first} on; it looks like {guess}: give --encoding "
            f"{guess}, or --encoding utf-8 to leave out such lines as invalid"
        )
