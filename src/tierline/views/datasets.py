"""What callers are shown of datasets, their rows, and the labels that they are built from."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, WithJsonSchema

from tierline.views.view import AnyJson, AnyObject, Page, TextId, Time, View

Side = Annotated[str, WithJsonSchema({"type": "string", "enum": ["train", "calibration", "test"]})]
Source = Annotated[str, WithJsonSchema({"type": "string", "enum": ["human", "model", "file"]})]


class KnownLabel(View):
    """An input whose right output is known."""

    job_id: UUID
    input: AnyJson
    expected: AnyJson
    label: str | None = Field(description="of a closed set; null: the output is none")
    said_by: str | None = Field(description="the model that said so; null: a person")
    representative: bool = Field(description="drawn whatever it says")


class LabelList(Page[KnownLabel]):
    """A feature's labels."""


class Dataset(View):
    """A version of a feature's labelled inputs, which does not change."""

    id: TextId
    feature: str
    version: int
    of_this_task: bool = Field(description="its labels mean what the feature's do now")
    rows: int
    removed_rows: int = Field(description="that lost their content with their job's")
    sha256: str
    by_side: AnyObject = Field(description="rows that train, calibrate and test")
    by_source: AnyObject = Field(description="rows from people, models and files")
    said_by: AnyObject = Field(description="rows by the model whose answer they are")
    representative_rows: int = Field(description="that stand for all traffic")
    near_duplicates: int = Field(description="rows that are like an earlier one")
    by_label: AnyObject = Field(description="rows by label, of a closed set")
    left_out: int = Field(description="jobs whose input breaks the schema by now")
    left_out_jobs: list[str] = Field(description="the first of them")
    created_at: Time


def dataset_view(row: Mapping[str, Any], removed: int, task: str) -> Dataset:
    """A dataset as callers see it; `removed`: rows that lost their content, `task`: the digest of
    what the feature's labels mean now."""
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
    alike: int = Field(description="the first row that it is like")
    side: Side
    source: Source
    said_by: str | None
    representative: bool
    disagreeing: int = Field(description="labels of the same input that say something else")
    job_id: UUID | None
    removed: bool = Field(description="with its job's content")
    shown: bool = Field(description="false: another account's")


class DatasetRowPage(Page[DatasetRow]):
    """A page of a dataset's rows."""
