"""Arrays that a caller packed: bounded before they are unpacked, and numbers only."""

import io
import tracemalloc
import zipfile
from typing import Any

import numpy as np
import pytest

from tierline.routing.learned import micro_parts, trained
from tierline.routing.learned.arrays import read_arrays

MOST = 1024 * 1024


def packed(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as written:
        for name, data in members.items():
            written.writestr(name, data)
    return file.getvalue()


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int32, ">f4"])
@pytest.mark.parametrize("shape", [(0,), (5,), (0, 3), (4, 3)])
def test_arrays_of_numbers_are_read_as_numpy_reads_them(kind: Any, shape: Any) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    arrays = read_arrays(packed(a=array, b=np.asfortranarray(array)), ("a", "b"), MOST)
    for name in ("a", "b"):
        assert arrays[name].dtype == array.dtype
        assert np.array_equal(arrays[name], array)


def lying(data: bytes, size: int) -> bytes:
    """The archive of one array whose list, and whose member, say another size than it has."""
    whole = bytearray(archive({"a.npy": data}))
    real = len(data).to_bytes(4, "little")
    assert whole.count(real) >= 2
    return bytes(whole.replace(real, size.to_bytes(4, "little")))


BOMB = npy(np.zeros(40 * MOST, dtype=np.int8).view(np.float32))
UNFIT = {
    "a bomb": archive({"a.npy": BOMB}),
    "a bomb that lies of its size": lying(BOMB, 1000),
    "less than it says": lying(npy(np.zeros(10)), 5000),
    "another array": packed(b=np.zeros(3)),
    "one more array": packed(a=np.zeros(3), b=np.zeros(3)),
    "a name twice": archive({"a.npy": npy(np.zeros(3)), "a.npy ": npy(np.zeros(3))}),
    "objects": packed(a=np.array([{"x": 1}], dtype=object)),
    "words": packed(a=np.array(["x" * 10])),
    "records": packed(a=np.zeros(3, dtype=[("x", "f4"), ("y", "i4")])),
    "arrays of arrays": packed(a=np.zeros((2, 2, 2))),
    "one number": packed(a=np.float32(1.0)),
    "no array": archive({"a.npy": b"\x93NUMPY\x01\x00\xff\xff{"}),
    "a deep header": archive({"a.npy": b"\x93NUMPY\x01\x00\x00\x04" + b"(" * 1024}),
    "a huge shape": archive(
        {"a.npy": npy(np.zeros(9)).replace(b"(9,), }", b"(9**9,)") + b"\0" * 9}
    ),
    "another way of packing": archive({"a.npy": npy(np.zeros(9))}, zipfile.ZIP_LZMA),
    "no archive": b"PK\x03\x04 and no more",
    "nothing": b"",
}


@pytest.mark.parametrize("what", UNFIT)
def test_anything_else_is_refused(what: str) -> None:
    with pytest.raises(ValueError, match="array"):
        read_arrays(UNFIT[what], ("a",), MOST)


@pytest.mark.parametrize("what", ["a bomb", "a bomb that lies of its size"])
def test_a_bomb_is_not_unpacked(what: str) -> None:
    assert len(UNFIT[what]) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="array"):
            read_arrays(UNFIT[what], ("a",), MOST)
        assert tracemalloc.get_traced_memory()[1] < 4 * MOST
    finally:
        tracemalloc.stop()


BEYOND = 50_000  # examples of 768 bytes


def test_a_router_and_a_micro_model_are_read_within_the_bound() -> None:
    # The examples alone take more than the bound, and each array has the shape of a good one.
    assert max(trained.MOST_UNPACKED, micro_parts.MOST_UNPACKED) < BEYOND * 384 * 2
    bomb = packed(
        direction=np.zeros(384, np.float32),
        examples=np.zeros((BEYOND, 384), np.float16),
        right=np.zeros(BEYOND, np.float32),
    )
    assert len(bomb) < trained.MOST_BYTES
    with pytest.raises(ValueError, match="not a router"):
        trained.from_parts({"intercept": 0, "terms": {}}, bomb)
    bomb = packed(
        weights=np.zeros((2, 384), np.float32),
        biases=np.zeros(2, np.float32),
        examples=np.zeros((BEYOND, 384), np.float16),
        example_labels=np.zeros(BEYOND, np.int32),
    )
    assert len(bomb) < micro_parts.MOST_BYTES
    document = {"labels": ["a", "b"], "trust": {"intercept": 0, "terms": {}}}
    with pytest.raises(ValueError, match="not a micro model"):
        micro_parts.from_parts(document, bomb)
