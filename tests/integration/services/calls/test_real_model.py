"""A real model, small and on this machine: the road of a call with nobody playing the provider.

The same llama.cpp server is asked as `local:`, as `llamacpp:` and under a name of the user's.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.support.database.rows import add_feature
from tests.support.scenes.bench import Bench
from tests.support.waiting import DEADLINE_S, wait_until
from tierline import providers
from tierline.base.settings import settings
from tierline.features import ModelRef
from tierline.features.prompts import Message
from tierline.providers.types import CallFailed, Completion, CompletionRequest
from tierline.rules.causes import Cause
from tierline.rules.verdicts import CHECK_FAILURES, Verdict
from tierline.stack.ports import free_port

MODEL = "smollm2-135m"
KEY = "key-of-the-real-one"
NAMES = ("local", "llamacpp", "my-box")
SCHEMA = {
    "type": "object",
    "properties": {"animal": {"type": "string", "enum": ["dog", "cat"]}},
    "required": ["animal"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    port = free_port()
    child = subprocess.Popen(
        [
            *(sys.executable, "-m", "tierline.stack.llama_server", "--alias", MODEL),
            *("--port", str(port), "--slots", "1", "--context", "1024"),
        ],
        env={**os.environ, "TIERLINE_LOCAL_API_KEY": KEY},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}/v1"
    try:
        wait_until(lambda: answers(url), 120, "the model server to answer")
        yield url
    finally:
        child.terminate()
        child.wait(DEADLINE_S)


def answers(url: str) -> bool:
    try:
        found = httpx.get(f"{url}/models", headers={"Authorization": f"Bearer {KEY}"}, timeout=5)
    except httpx.HTTPError:
        return False
    return found.status_code == 200


@pytest.fixture(scope="module", autouse=True)
def three_names(model_url: str, module_bench: Bench) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERLINE_LOCAL_URL", model_url)
        patch.setenv("TIERLINE_LOCAL_API_KEY", KEY)
        patch.setenv("LLAMACPP_BASE_URL", model_url)
        patch.setenv("LLAMA_API_KEY", KEY)
        patch.setenv("TIERLINE_OPENAI_COMPATIBLE", f"my-box={model_url}")
        patch.setenv("MY_BOX_API_KEY", KEY)
        settings.cache_clear()
        providers.close()
        yield
        providers.close()
    settings.cache_clear()


def ask(name: str, question: str = "It barks. What is it?", **changes: Any) -> Completion:
    values: dict[str, Any] = {
        "model": ModelRef(name, MODEL),
        "messages": [Message("system", "Name the animal."), Message("user", question)],
        "max_tokens": 30,
        "temperature": 0.0,
        "timeout_s": 120.0,
    }
    return providers.provider(name).complete(CompletionRequest(**values | changes))


each = pytest.mark.parametrize("name", NAMES)


@each
def test_it_answers_within_the_schema_and_tells_what_it_used(name: str) -> None:
    answer = ask(name, json_schema=SCHEMA)
    assert json.loads(answer.text)["animal"] in {"dog", "cat"}
    assert (answer.finish, answer.model) == (None, MODEL)
    usage = answer.usage
    assert usage is not None
    assert (usage.input_tokens or 0) + (usage.cached_input_tokens or 0) > 10
    assert 0 < (usage.output_tokens or 0) <= 30


@each
def test_it_tells_the_probabilities_of_tokens(name: str) -> None:
    logprobs = ask(name, max_tokens=1, top_logprobs=5).top_logprobs
    assert logprobs is not None
    assert len(logprobs[0]) == 5
    assert all(one.logprob <= 0 for one in logprobs[0])


@each
def test_it_is_cut_off_at_max_tokens(name: str) -> None:
    answer = ask(name, "Tell a long story of a dog.", max_tokens=4)
    assert answer.finish is Verdict.TRUNCATED


@each
def test_what_is_longer_than_its_context_is_known(name: str) -> None:
    with pytest.raises(CallFailed) as raised:
        ask(name, "It barks. " * 2_000)
    assert raised.value.cause is Cause.CONTEXT


@each
def test_another_key_is_refused(name: str, model_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TIERLINE_LOCAL_API_KEY", "LLAMA_API_KEY", "MY_BOX_API_KEY"):
        monkeypatch.setenv(variable, "another")
    settings.cache_clear()
    providers.close()
    try:
        with pytest.raises(CallFailed) as raised:
            ask(name)
    finally:
        monkeypatch.undo()
        settings.cache_clear()
        providers.close()
    assert raised.value.cause is Cause.KEY


@each
def test_a_job_is_answered_judged_and_booked(bench: Bench, name: str) -> None:
    _, feature = bench.apply(models=f"[{name}:{MODEL}]")
    patient = replace(feature.tiers[0], timeout_s=120.0)
    feature = replace(feature, name=f"real-{name}", tiers=(patient, *feature.tiers[1:]))
    with bench.pool.connection() as connection:
        version = add_feature(connection, feature)
    job = bench.submit(version)
    bench.run(job)
    (verdict,) = bench.verdicts(job)
    assert verdict == "passed" or verdict in CHECK_FAILURES
    answered, tokens, cost, error = bench.one(
        "SELECT answered_model, input_tokens + coalesce(cached_input_tokens, 0) + output_tokens,"
        " cost_usd, error FROM calls WHERE job_id = %s",
        job,
    )
    assert (answered, error) == (MODEL, None)
    assert tokens > 0
    assert cost == (0 if name == "local" else None)  # nobody has set a price for the others
