"""/v1/features and /v1/models: applied features, applying a file, and the models to name."""

import asyncio
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from api.access.auth import Operator, Read
from api.document.openapi import returns
from api.http.bodies import answer
from api.http.problems import Refused, documented
from api.parameters.numbers import ASCII_DIGITS
from api.state import Database, Shared
from tierline.features.stored import UnreadableFeature
from tierline.services.features import models
from tierline.services.features.apply_feature import Applied, apply_feature
from tierline.services.features.find_feature import StoredVersion, current_versions, version_of
from tierline.services.money.prices import prices_now
from tierline.views.features.features import (
    AppliedFeature,
    Feature,
    FeatureList,
    FeatureVersion,
    summary,
)
from tierline.views.features.models import Models

router = APIRouter(tags=["features"])

TYPES = ("application/yaml", "text/yaml", "application/x-yaml", "text/x-yaml", "application/json")

_EXAMPLE = """feature: ticket-summary
instructions: Say in one sentence what the customer wants.
input: {type: object, required: [text], properties: {text: {type: string}}}
output: {type: string}
tiers:
  - {name: slm, models: ["local:smollm2-135m"]}
"""


FILE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/yaml": {"schema": {"type": "string"}, "example": _EXAMPLE},
            "application/json": {"schema": {"type": "object", "additionalProperties": True}},
        },
    }
}


@router.get(
    "/v1/features",
    summary="List the applied features",
    responses={
        200: returns("Each with its current version", FeatureList),
        **documented(401, 403, 503),
    },
)
def list_features(_: Read, connection: Database) -> Response:
    """Features belong to the installation: every account may use each of them. A feature that a
    later release applied and this one cannot read is not listed; /readyz names it.
    """
    features = []
    for version in current_versions(connection):
        with suppress(UnreadableFeature):  # /readyz names it
            features.append(Feature.model_validate(_version_fields(version)))
    return answer(FeatureList.of(features))


@router.post(
    "/v1/features",
    summary="Apply a feature file",
    responses={
        200: returns("Nothing changed, or a dry run", AppliedFeature),
        201: returns("A new version, which new jobs use", AppliedFeature),
        **documented(400, 401, 403, 413, 415, 422, 503),
    },
    openapi_extra=FILE_BODY,
)
async def post_feature(
    request: Request,
    _: Operator,
    state: Shared,
    dry_run: Annotated[bool, Query(description="only check the file")] = False,
) -> Response:
    """The file as YAML 1.2 or JSON. Applying the same document again makes no new version."""
    text = await read_file(request)

    def apply() -> Applied:
        with state.cold_pool.connection() as connection:
            return apply_feature(connection, text, dry_run=dry_run)

    applied = await asyncio.to_thread(apply)
    version = applied.version
    body = {
        **summary(applied.feature, None if version is None else version.applied_at),
        "version": None if version is None else version.version,
        "changed": applied.changed,
        "dry_run": dry_run,
        "warnings": list(applied.warnings),
    }
    return answer(
        AppliedFeature.model_validate(body), 201 if applied.changed and not dry_run else 200
    )


@router.get(
    "/v1/features/{name}",
    summary="Read a feature",
    responses={
        200: returns("One of its versions", FeatureVersion),
        **documented(401, 403, 404, 422, 503),
    },
)
def get_feature(
    name: Annotated[str, Path()],
    _: Read,
    connection: Database,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1), ASCII_DIGITS] = None,
) -> Response:
    """The current version, or the one given as `version`."""
    stored = version_of(connection, name, version)
    return answer(
        FeatureVersion.model_validate(
            {
                **_version_fields(stored),
                "source": stored.source,
                "document": dict(stored.document),
                "fingerprint": stored.fingerprint,
                "prices": prices_now(connection, stored.read()),
            }
        )
    )


@router.get(
    "/v1/models",
    summary="List the models that a feature may name",
    responses={
        200: returns("Models in use first, then the catalogue", Models),
        **documented(401, 403, 503),
    },
)
def list_models(_: Read, connection: Database) -> Response:
    """The known facts of each model, whether this process can call it, and its price."""
    return answer(Models.model_validate({"data": models.list_models(connection)}))


def _version_fields(version: StoredVersion) -> dict[str, Any]:
    return {**summary(version.read(), version.applied_at), "version": version.version}


async def read_file(request: Request) -> str:
    """The feature file in a request's body. Raises Refused for another type or invalid UTF-8."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in TYPES:
        raise Refused(
            "unsupported-media-type",
            f"send Content-Type: application/yaml or application/json, not {kind[:60] or 'none'}",
            headers={"Accept": "application/yaml, application/json"},
        )
    raw = await request.body()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise Refused("bad-request", f"not UTF-8 in line {line}") from None
