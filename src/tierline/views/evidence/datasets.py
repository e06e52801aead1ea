"""The JSON of datasets, their rows, and the labels that they are built from."""

from datetime import datetime
from typing import Annotated, TypedDict
from uuid import UUID

from pydantic import Field, WithJsonSchema

from tierline.base.json_text import JSON
from tierline.views.view import AnyJson, AnyObject, Page, TextId, Time, View

Side = Annotated[str, WithJsonSchema({"type": "string", "enum": ["train", "calibration", "test"]})]
Source = Annotated[str, WithJsonSchema({"type": "string", "enum": ["human", "model", "file"]})]


class KnownLabel(View):
    """An input whose right output is known."""

    job_id: UUID
    input: AnyJson
    expected: AnyJson
    label: str | None = Field(description="from a closed set; null: the output is not a label")
    said_by: str | None = Field(description="the model that gave the output; null: a person")
    representative: bool = Field(description="sampled independently of the answer")


class LabelList(Page[KnownLabel]):
    """A feature's labels."""


class Dataset(View):
    """A version of a feature's labelled inputs. It never changes."""

    id: TextId
    feature: str
    version: int
    of_this_task: bool = Field(description="its labels mean the same as the feature's now")
    rows: int
    removed_rows: int = Field(description="rows whose content was removed with their job's")
    sha256: str
    by_side: AnyObject = Field(description="rows for training, calibration and test")
    by_source: AnyObject = Field(description="rows from people, models and files")
    said_by: AnyObject = Field(description="rows by the model that gave the output")
    representative_rows: int = Field(description="rows that represent all traffic")
    near_duplicates: int = Field(description="rows that resemble an earlier one")
    by_label: AnyObject = Field(description="rows by label, of a closed set")
    left_out: int = Field(description="jobs whose input no longer matches the schema")
    left_out_jobs: list[str] = Field(description="the first of them")
    created_at: Time


class StoredDataset(TypedDict):
    """The row of a dataset."""

    id: int
    feature: str
    version: int
    task: str  # the digest of what its labels mean
    rows: int
    sha256: str
    document: dict[str, JSON]  # its counts
    created_at: datetime


def dataset_view(row: StoredDataset, removed: int, task: str) -> Dataset:
    """A dataset as callers see it. `removed`: rows without content. `task`: the digest of what the
    feature's labels mean now."""
    return Dataset.model_validate(
        {
            "left_out": 0,
            "left_out_jobs": [],
            **row["document"],
            **row,
            "of_this_task": row["task"] == task,
            "removed_rows": removed,
        }
    )


class DatasetList(Page[Dataset]):
    """A feature's datasets."""


class DatasetRow(View):
    """A row of a dataset."""

    number: int
    input: AnyJson
    expected: AnyJson
    digest: str
    alike: int = Field(description="the first row that it resembles")
    side: Side
    source: Source
    said_by: str | None
    representative: bool
    disagreeing: int = Field(description="labels of the same input that differ")
    job_id: UUID | None
    removed: bool = Field(description="its content was removed with its job's")
    shown: bool = Field(description="false: the job belongs to another account")


class DatasetRowPage(Page[DatasetRow]):
    """A page of a dataset's rows."""
