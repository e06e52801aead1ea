"""Arrays in numpy's own compressed format, read with a bound: of what a caller sent.

`numpy.load` unpacks whatever an archive says, so that 600 KB became 1.2 GiB. Here the archive's
list is looked at first (which arrays, how large), each is unpacked to its bound at most, whatever
the list said, and its header is read before its numbers are: floats and integers of one or two
dimensions, never objects.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import io
import math
import re
import zipfile
import zlib
from collections.abc import Collection
from typing import Any

HEADER = re.compile(
    rb"\x93NUMPY\x01\x00.."  # version 1.0 and the header's length
    rb"\{'descr': '([<>|][fi][1248])', 'fortran_order': (True|False), "
    rb"'shape': \(([0-9]{1,9}),(?: ([0-9]{1,9}))?\), \} {0,200}\n",
    re.DOTALL,
)
"""What numpy writes before the numbers, as a pattern: its own reader takes it for a program's text,
and fails in many ways at one that is none."""
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


def read_arrays(packed: bytes, names: Collection[str], most_bytes: int) -> dict[str, Any]:
    """The arrays of those names, which have to be all that there are.

    `most_bytes` bounds what they take together, unpacked. Raises ValueError for anything else than
    `numpy.savez` or `savez_compressed` would write of such arrays.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            members = archive.infolist()
            if sorted(member.filename for member in members) != sorted(
                f"{name}.npy" for name in names
            ):
                raise ValueError(f"an archive of the arrays {', '.join(names)} was expected")
            if sum(member.file_size for member in members) > most_bytes:
                raise ValueError(f"its arrays take more than {most_bytes:,} bytes")
            found, left = {}, most_bytes
            for member in members:
                data = _unpacked(archive, member, left)
                left -= len(data)
                found[member.filename.removesuffix(".npy")] = _array(data)
            return found
    except (
        *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, OSError),
        *(NotImplementedError, RuntimeError, KeyError),  # an unknown method, a password
    ) as error:
        raise ValueError(f"not an archive of arrays: {type(error).__name__}") from None


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most_bytes: int) -> bytes:
    """One member's bytes: read to the bound and one more, since the list may say less."""
    if member.compress_type not in METHODS or member.flag_bits & 0x1:
        raise ValueError("its arrays are packed in a way that is not read")
    with archive.open(member) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes or len(data) != member.file_size:
        raise ValueError("its arrays are larger than they say")
    return data


def _array(data: bytes) -> Any:
    import numpy as np

    match = HEADER.match(data)
    if match is None:
        raise ValueError("its arrays hold something else than rows of numbers")
    start = match.end()
    kind, by_column, *sides = (one.decode() for one in match.groups() if one is not None)
    shape = tuple(int(side) for side in sides)
    dtype = np.dtype(kind)
    if math.prod(shape) * dtype.itemsize != len(data) - start:
        raise ValueError("its arrays have another size than they say")
    flat = np.frombuffer(data, dtype=dtype, offset=start)
    return flat.reshape(shape, order="F" if by_column == "True" else "C")
