"""/v1/features/{name}/datasets: labelled inputs, in versions that never change."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.access.auth import Operator, Read, readable
from api.document.openapi import returns, takes
from api.http.bodies import answer, read_json, read_model
from api.http.problems import documented
from api.parameters.cursors import read_page
from api.parameters.numbers import ASCII_DIGITS
from api.state import Database, Shared
from tierline.services.evidence.labels import datasets as services
from tierline.services.evidence.labels.datasets import MOST_ROWS, FileExample
from tierline.views.evidence.datasets import Dataset, DatasetList, DatasetRowPage

router = APIRouter(tags=["datasets"])

Name = Annotated[str, Path(max_length=63)]
Version = Annotated[int, Path(ge=1, le=2**31 - 1), ASCII_DIGITS]


class LabelledInput(BaseModel):
    """A row of a file."""

    model_config = ConfigDict(extra="forbid")

    input: Any
    expected: Any = Field(description="the right output, or a bare label of a closed set")


class NewDataset(BaseModel):
    """The contents of the new dataset."""

    model_config = ConfigDict(extra="forbid")

    rows: list[LabelledInput] = Field(default=[], max_length=MOST_ROWS)
    jobs: bool = Field(default=True, description="include labels of the feature's own jobs")


@router.post(
    "/v1/features/{name}/datasets",
    status_code=201,
    summary="Build a feature's next dataset",
    responses={
        201: returns("Built; it never changes", Dataset),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(NewDataset, {"jobs": True}),
)
async def post_dataset(name: Name, request: Request, caller: Operator, state: Shared) -> Response:
    """Contains the given rows, and the caller's account's jobs whose right output is known, or all
    accounts' jobs where the installation lets operators read all.
    """
    body = read_model(NewDataset, await read_json(request, state.settings.max_json_depth))
    rows = [FileExample(row.input, row.expected) for row in body.rows]

    def work(connection: Any) -> Dataset:
        return services.build(
            connection, name, rows, jobs=body.jobs, account_id=readable(state, caller)
        )

    return answer(await state.reports.work(request, caller.account_id, work), 201)


@router.get(
    "/v1/features/{name}/datasets",
    summary="List a feature's datasets",
    responses={
        200: returns("The newest first", DatasetList),
        **documented(401, 403, 404, 422, 503),
    },
)
def list_datasets(name: Name, _: Read, connection: Database) -> Response:
    """Lists the datasets with their contents in numbers."""
    return answer(DatasetList.of(services.datasets_of(connection, name)))


@router.get(
    "/v1/features/{name}/datasets/{version}",
    summary="Get a dataset",
    responses={
        200: returns("Its contents in numbers", Dataset),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_dataset(name: Name, version: Version, _: Read, connection: Database) -> Response:
    """Its rows are at /rows."""
    return answer(services.dataset_of(connection, name, version))


@router.get(
    "/v1/features/{name}/datasets/{version}/rows",
    summary="List a dataset's rows",
    responses={
        200: returns("In order", DatasetRowPage),
        **documented(401, 403, 404, 422, 503),
    },
)
def list_rows(
    name: Name,
    version: Version,
    caller: Operator,
    state: Shared,
    connection: Database,
    limit: Annotated[int, Query(ge=1, le=2_000), ASCII_DIGITS] = 500,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> Response:
    """Inputs and labels of files and of the caller's account's jobs, or of all jobs where the
    installation lets operators read all; `shown` is false for the others.
    """
    account = readable(state, caller)
    page, next_cursor = read_page(
        cursor,
        limit,
        lambda after, most: services.rows_of(connection, name, version, after, most, account),
        lambda row: row.number,
    )
    return answer(DatasetRowPage.of(page, next_cursor))
