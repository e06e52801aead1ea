"""Keys, errors and models, with OpenAI's own client."""

import openai
import psycopg
import pytest

from tests.support.api.served import Api
from tests.support.database.rows import add_feature, two_tiers
from tierline.services.accounts.accounts import create_key

Connection = psycopg.Connection[tuple[object, ...]]


def test_features_are_models_by_name_and_by_their_current_version(
    client: openai.OpenAI, rows: Connection
) -> None:
    add_feature(rows, two_tiers("versions"))
    add_feature(rows, two_tiers("versions"), version=2)
    models = {model.id: model for model in client.models.list()}
    assert {"echo", "echo@1", "versions", "versions@2"} <= models.keys()
    assert "versions@1" not in models
    one = client.models.retrieve("versions@2")
    assert one == models["versions@2"]
    assert (one.object, one.owned_by) == ("model", "tierline")
    assert one.created > 1_700_000_000
    assert client.models.retrieve("versions").id == "versions"


@pytest.mark.parametrize("name", ["nothing", "echo@7"])
def test_a_model_that_does_not_exist_is_not_found(client: openai.OpenAI, name: str) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve(name)
    assert refused.value.code == "not-found"
    assert name.partition("@")[0] in refused.value.message
    assert refused.value.request_id


def test_a_wrong_key_and_a_key_without_the_scope_are_refused(api: Api, rows: Connection) -> None:
    base_url = f"{api.url}/openai/v1"
    with (
        openai.OpenAI(base_url=base_url, api_key="tl_wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as unknown,
    ):
        stranger.models.list()
    assert (unknown.value.code, unknown.value.type) == ("unauthorized", "authentication_error")
    submitter = create_key(rows, "default", ("submit",)).key
    with (
        openai.OpenAI(base_url=base_url, api_key=submitter, max_retries=0) as writer,
        pytest.raises(openai.PermissionDeniedError) as denied,
    ):
        writer.models.list()
    assert denied.value.code == "forbidden"
    assert "'read'" in denied.value.message


def test_an_unknown_path_names_what_there_is(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="/openai/v1/models") as unknown:
        client.embeddings.create(model="echo", input="hello")
    assert unknown.value.code == "not-found"


def test_a_method_that_a_path_does_not_take_names_those_that_it_takes(api: Api) -> None:
    answer = api.http.post("/openai/v1/models")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.json()["error"]["code"] == "method-not-allowed"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/files"])
def test_the_path_of_openai_outside_names_the_one_here(api: Api, path: str) -> None:
    answer = api.http.post(path, json={})
    assert answer.status_code == 404
    assert "/openai/v1" in answer.json()["detail"]
