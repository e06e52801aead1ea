"""What a model may be called, in a feature file, in a judge, in a price, and in a URL."""

from typing import Any

import pytest

from tests.support.fake_servers.model_server import ModelServer, Reply
from tests.support.samples.features import INVOICE
from tierline.base.errors import FeatureError, InvalidInput
from tierline.base.settings import Settings
from tierline.features import ModelRef
from tierline.features.model_names import name_fault
from tierline.features.parse import parse_feature
from tierline.features.prompts import Message
from tierline.providers.azure import Azure
from tierline.providers.gemini import Gemini
from tierline.providers.types import CallFailed, CompletionRequest
from tierline.providers.vertex import Vertex
from tierline.rules.causes import Cause
from tierline.services.money.prices import set_price

NO_DATABASE: Any = None  # the name is refused before the database is asked
HOSTILE = [
    *("../../x", "a/../b", "a/..", "..", ".", "./a", ".hidden", "a/.b", "/a", "a/", "a//b"),
    *("a?b", "a#b", "a%2e", "a%2F..", "a\\b", "a b", "a\tb", "a\nb", "a\x00", "a\x7f", "a;b"),
    *("é", "a\u202eb", "ａ", "a|b", "<a>", "{a}", "a&b=c", "x" * 201),
]
USUAL = [
    "gpt-6.1-sol",
    "ft:gpt-4o-mini-2024-07-18:my-org:suffix:9AbCdEfG",
    "ft:gpt-4o:org::id",
    "meta-llama/Llama-3.1-8B-Instruct",
    "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
    "qwen2.5-coder:1.5b",
    "my_deployment-2.x",
    "gemini-2.5-flash@001",
    "publishers/google/models/gemini-2.5-flash",
    "org/model@rev+1",
]


@pytest.mark.parametrize("model", HOSTILE)
def test_a_name_that_could_lead_elsewhere_is_none(model: str) -> None:
    assert name_fault(model) is not None


@pytest.mark.parametrize("model", USUAL)
def test_usual_names_are_taken(model: str) -> None:
    assert name_fault(model) is None


@pytest.mark.parametrize("model", ["a/../b", "a?b", "a#b", "a%2e", ".a"])
def test_a_feature_file_is_refused_with_the_line(model: str) -> None:
    with pytest.raises(FeatureError) as caught:
        parse_feature(INVOICE.replace("local:smollm2-135m", f"local:{model}"), "f.yaml")
    (problem,) = caught.value.problems
    assert problem.line is not None
    assert "is not a valid model name" in problem.message


def test_a_price_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not a valid model name"):
        set_price(NO_DATABASE, "openai:a/../b", None)


@pytest.mark.parametrize("model", ["..", ".", "a/../../b", "a?b=c", "a#b"])
def test_no_request_is_made_for_such_a_name_of_an_earlier_feature(model: str) -> None:
    with ModelServer(lambda _: Reply(text="{}")) as server:
        root = server.url.removesuffix("/v1")
        given = {
            "AZURE_OPENAI_ENDPOINT": root,
            "AZURE_OPENAI_API_KEY": "k",
            "OPENAI_API_VERSION": "2024-10-21",
            "GEMINI_API_KEY": "k",
            "GOOGLE_GEMINI_BASE_URL": root,
            "GOOGLE_OAUTH_ACCESS_TOKEN": "k",
            "GOOGLE_CLOUD_PROJECT": "p",
            "GOOGLE_VERTEX_BASE_URL": root,
        }
        settings = Settings(**given)  # type: ignore[arg-type]
        for name, made in (("azure", Azure), ("gemini", Gemini), ("vertex", Vertex)):
            provider = made(settings)
            request = CompletionRequest(
                ModelRef(name, model), (Message("user", "hello"),), 5, 0.0, timeout_s=5
            )
            with pytest.raises(CallFailed) as caught:
                provider.complete(request)
            assert caught.value.cause is Cause.MODEL
            provider.close()
        assert server.calls == []
