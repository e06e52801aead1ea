"""Reads numpy archives that a caller sent, with a bound on the memory used.

`numpy.load` unpacks whatever an archive contains: a file of 600 KB became 1.2 GiB. Here the
archive's list is checked first (which arrays, how large). Each array is unpacked to its bound at
most, whatever the list says. Its header is checked before its numbers are read: floats and integers
of one or two dimensions, never objects.

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
"""What numpy writes before the numbers. numpy's own reader parses this text as Python, and raises
many kinds of errors if it is anything else."""
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


def read_arrays(packed: bytes, names: Collection[str], most_bytes: int) -> dict[str, Any]:
    """The arrays of those names. The archive must contain exactly these.

    `most_bytes` bounds their total size, unpacked. Raises ValueError for anything that
    `numpy.savez` or `savez_compressed` would not write for such arrays.
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
            arrays, left = {}, most_bytes
            for member in members:
                data = _unpacked(archive, member, left)
                left -= len(data)
                arrays[member.filename.removesuffix(".npy")] = _array(data)
            return arrays
    except (
        *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, OSError),
        *(NotImplementedError, RuntimeError, KeyError),  # an unknown method, a password
    ) as error:
        raise ValueError(f"not an archive of arrays: {type(error).__name__}") from None


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most_bytes: int) -> bytes:
    """One member's bytes: at most one byte beyond the bound, since the list may give less."""
    if member.compress_type not in METHODS or member.flag_bits & 0x1:
        raise ValueError("its arrays use an unsupported compression")
    with archive.open(member) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes or len(data) != member.file_size:
        raise ValueError("its arrays are larger than they claim")
    return data


def _array(data: bytes) -> Any:
    import numpy as np

    match = HEADER.match(data)
    if match is None:
        raise ValueError("its arrays contain something other than rows of numbers")
    start = match.end()
    kind, by_column, *sides = (one.decode() for one in match.groups() if one is not None)
    shape = tuple(int(side) for side in sides)
    dtype = np.dtype(kind)
    if math.prod(shape) * dtype.itemsize != len(data) - start:
        raise ValueError("its arrays have another size than they claim")
    flat = np.frombuffer(data, dtype=dtype, offset=start)
    return flat.reshape(shape, order="F" if by_column == "True" else "C")
