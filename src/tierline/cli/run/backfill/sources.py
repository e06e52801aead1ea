"""FILE: its kind of source, and how a later run recognises it."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tierline.base.errors import UsageError
from tierline.base.json_text import JSON
from tierline.cli.run.backfill.csv_source import CsvSource
from tierline.cli.run.backfill.folder_source import FolderSource, files_of, leads_out
from tierline.cli.run.backfill.jsonl_source import JsonlSource
from tierline.cli.run.backfill.lines import BOM
from tierline.cli.run.backfill.rows import Record
from tierline.cli.run.backfill.unique_ids import UniqueIds

Kind = Literal["csv", "jsonl", "folder"]

SPREADSHEET = (
    "soffice --headless --convert-to 'csv:Text - txt - csv (StarCalc):44,34,76' {file}"  # in UTF-8
)
PARQUET = "duckdb -c \"COPY (FROM {file}) TO '{stem}.csv' (HEADER)\""
CONVERSIONS = (
    ((".xlsx", ".xls", ".ods"), SPREADSHEET),
    ((".json",), "jq -c '.[]' {file} > {stem}.jsonl"),
    ((".parquet",), PARQUET),
    ((".gz",), "gunzip -k {file}"),
    ((".zip",), "unzip {file}"),
)
"""Formats that are not read, by suffix, and the command that converts them."""

_CHUNK = 1024 * 1024  # bytes hashed at a time


class Source(Protocol):
    """Reads the same records in the same order each time."""

    def records(self) -> Iterator[Record]: ...


@dataclass(frozen=True)
class Fingerprint:
    """A source's content: equal hashes mean equal rows. `stamp` is a cheap check for changes."""

    sha256: str
    stamp: str


def kind_of(path: Path) -> Kind:
    """The kind of source at a path. Raises UsageError."""
    if path.is_dir():
        return "folder"
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    if not path.is_file():
        raise UsageError(f"{path} is not a file; it must be readable again when the run continues")
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return "csv"
    if suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    with path.open("rb") as file:
        if file.read(64).removeprefix(BOM).lstrip().startswith(b"{"):
            return "jsonl"
    raise UsageError(_unknown_format(path))


def _unknown_format(path: Path) -> str:
    """What backfill reads, and the command that converts this file to it."""
    suffix = path.suffix.lower()
    for suffixes, command in CONVERSIONS:
        if suffix in suffixes:
            convert = command.format(file=f"'{path}'", stem=path.stem)
            return (
                f"{path}: {suffix} files are not read, only .csv, .jsonl and folders; convert it: "
                f"{convert}"
            )
    return f"{path}: unknown format; use a .csv or .jsonl file, or a folder"


def open_source(
    path: Path,
    schema: Mapping[str, JSON],
    mapping: Mapping[str, str],
    id_column: str | None,
    encoding: str | None = None,
    *,
    repeats: bool = False,
) -> Source:
    """The source at a path, for inputs of `schema`. With `repeats`, rows with an id that is already
    used are rows like others; else they are invalid. Raises UsageError.
    """
    source = _open_source(path, schema, mapping, id_column, encoding)
    return source if repeats else UniqueIds(source)


def _open_source(
    path: Path,
    schema: Mapping[str, JSON],
    mapping: Mapping[str, str],
    id_column: str | None,
    encoding: str | None,
) -> Source:
    kind = kind_of(path)
    if kind == "csv":
        return CsvSource(path, schema, mapping, id_column, encoding)
    if id_column is not None:
        raise UsageError("--id-column is for CSV; JSONL has custom_id, a folder its paths")
    if kind == "folder":
        return FolderSource(path, schema, mapping, encoding)
    if mapping:
        raise UsageError("--map is for CSV and folders; a JSONL row is or contains the input")
    return JsonlSource(path, schema, encoding)


def stamp_of(path: Path) -> str:
    """Sizes and modification times: equal while nobody writes to the source."""
    if not path.is_dir():
        return _stamp(path.stat())
    total = hashlib.sha256()
    root = path.resolve()
    for file in files_of(path):
        name = file.relative_to(path).as_posix().encode("utf-8", "surrogateescape")
        status = file.lstat() if leads_out(root, file) else file.stat()
        total.update(name + f"\0{_stamp(status)}\0".encode())
    return total.hexdigest()


def fingerprint_of(path: Path) -> Fingerprint:
    """Reads the source once, at the disk's speed. Raises UsageError if it changes meanwhile."""
    before = stamp_of(path)
    total = hashlib.sha256()
    if path.is_dir():
        root = path.resolve()
        for file in files_of(path):
            name = file.relative_to(path).as_posix().encode("utf-8", "surrogateescape")
            # the target of a link that leads out of the folder is not read here either
            content = b"" if leads_out(root, file) else _digest(file)
            total.update(name + b"\0" + content + b"\0")
    else:
        total.update(_digest(path))
    if stamp_of(path) != before:
        raise UsageError(f"{path} changes while it is read: run again when it is complete")
    return Fingerprint(total.hexdigest(), before)


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}"


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        total = hashlib.sha256()
        while chunk := file.read(_CHUNK):
            total.update(chunk)
    return total.digest()
