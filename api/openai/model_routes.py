"""/openai/v1/models: the applied features."""

from contextlib import suppress

from fastapi import APIRouter, Response

from api.access.auth import Read
from api.http.bodies import answer
from api.openai.errors import ROOT
from api.state import Database
from tierline.features.stored import UnreadableFeature
from tierline.openai_requests.model_names import (
    check_current,
    model_list,
    model_object,
    read_model_name,
)
from tierline.services.features.find_feature import current_version, current_versions

router = APIRouter(prefix=f"{ROOT}/models", include_in_schema=False)


@router.get("")
def list_models(_: Read, connection: Database) -> Response:
    """Every feature, by its name and with its current version."""
    features = []
    for version in current_versions(connection):
        with suppress(UnreadableFeature):  # /readyz names it
            version.read()
            features.append((version.name, version.version, version.applied_at))
    return answer(model_list(features))


@router.get("/{model}")
def retrieve_model(model: str, _: Read, connection: Database) -> Response:
    """One feature. Only its current version exists here, because new jobs run that one."""
    name, number = read_model_name(model)
    version = current_version(connection, name)
    check_current(name, number, version.version)
    return answer(model_object(model, version.applied_at))
