"""`python -m benchmarks.calls`: our own time in one call to a model, beside the vendors' clients.

That is everything but the network: build and encode the request, then decode, check and price the
answer. A function that gives the same answer at once replaces the socket, for us and for each
vendor's newest client. That client sends the same request and reads its own types; it prices
nothing. The two take turns, so that both run on the same machine.

The network's part is measured apart: the processor time of this thread for a POST to a server on
loopback, over a connection that is kept, beside httpx's own client and beside the standard library.
"""

import argparse
import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import anthropic
import httpx
import httpx2
import openai
from google import genai
from google.genai import types

from benchmarks.command import read_arguments
from benchmarks.figures import Figure, hand_over, progress
from tests.support.processes.started import model_server
from tierline.base.settings import Settings
from tierline.features import ModelRef
from tierline.features.prompts import Message
from tierline.pricing import PricedCall, cost_usd, price_of
from tierline.providers.anthropic import Anthropic
from tierline.providers.gemini import Gemini
from tierline.providers.http.transport import Transport
from tierline.providers.openai import OpenAI
from tierline.providers.types import CompletionRequest, Provider

TARGET_MS = 1.0
TARGET_SHARE = 0.5  # of the vendor's client's time
TARGET_HTTP = 0.5  # of httpx.Client's
MOST_BYTES = 1_000_000  # of an answer
KEY = "not-a-key"
SYSTEM = "Extract the invoice's fields. " * 20
TEXT = "Invoice 4711 of 12.5 EUR. " * 40
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"number": {"type": "string"}, "total": {"type": "number"}},
    "required": ["number", "total"],
    "additionalProperties": False,
}
WRITTEN = '{"number": "4711", "total": 12.5}'
ANSWERS: Mapping[str, Any] = {
    "openai": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1764000000,
        "model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": WRITTEN, "refusal": None},
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": 400,
            "completion_tokens": 20,
            "total_tokens": 420,
            "prompt_tokens_details": {"cached_tokens": 100},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    },
    "anthropic": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5-20251001",
        "content": [{"type": "text", "text": WRITTEN}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 300,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 0,
            "output_tokens": 20,
            "service_tier": "standard",
        },
    },
    "gemini": {
        "candidates": [
            {
                "content": {"role": "model", "parts": [{"text": WRITTEN}]},
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 400,
            "cachedContentTokenCount": 100,
            "candidatesTokenCount": 20,
            "totalTokenCount": 420,
        },
        "modelVersion": "gemini-3.5-flash",
        "responseId": "resp-1",
    },
}
MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-haiku-4-5",
    "gemini": "gemini-3.5-flash",
}
MAKERS: Mapping[str, Callable[[Settings], Provider]] = {
    "openai": OpenAI,
    "anthropic": Anthropic,
    "gemini": Gemini,
}


class AtOnce:
    """In the place of a connection: the same answer to everything."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        headers = {"content-type": "application/json"}
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(self._body))


def ours(name: str) -> Callable[[], object]:
    settings = Settings(
        **{"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY, "GEMINI_API_KEY": KEY}  # type: ignore[arg-type]
    )
    provider: Any = MAKERS[name](settings)
    provider._transport._here.connection = AtOnce(json.dumps(ANSWERS[name]).encode())
    ref = ModelRef(name, MODELS[name])
    request = CompletionRequest(
        model=ref,
        messages=[Message("system", SYSTEM), Message("user", TEXT)],
        max_tokens=50,
        temperature=0.0,
        timeout_s=60.0,
        json_schema=SCHEMA,
    )

    def call() -> object:
        completion = provider.complete(request)
        price = price_of(
            ref, PricedCall(datetime.now(UTC), completion.service_tier, completion.model)
        )
        assert completion.text == WRITTEN
        return cost_usd(completion.usage, price, completion.latency_s)

    return call


def at_once(name: str) -> httpx2.MockTransport:
    body = json.dumps(ANSWERS[name]).encode()
    headers = {"content-type": "application/json"}
    return httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=body))


def their_openai() -> Callable[[], object]:
    http = httpx2.Client(transport=at_once("openai"))
    client = openai.OpenAI(api_key=KEY, http_client=http, max_retries=0)
    form: Any = {"name": "answer", "schema": SCHEMA, "strict": True}
    return lambda: (
        client.chat.completions.create(
            model=MODELS["openai"],
            messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": TEXT}],
            max_completion_tokens=50,
            temperature=0.0,
            response_format={"type": "json_schema", "json_schema": form},
            store=False,
        )
        .choices[0]
        .message.content
    )


def their_anthropic() -> Callable[[], object]:
    http = httpx2.Client(transport=at_once("anthropic"))
    client = anthropic.Anthropic(api_key=KEY, http_client=http, max_retries=0)
    return lambda: (
        client.messages.create(
            model=MODELS["anthropic"],
            system=SYSTEM,
            messages=[{"role": "user", "content": TEXT}],
            max_tokens=50,
            output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
        ).content
    )


def their_gemini() -> Callable[[], object]:
    http = httpx2.Client(transport=at_once("gemini"))
    client = genai.Client(api_key=KEY, http_options=types.HttpOptions(httpx_client=http))
    config = types.GenerateContentConfig(
        system_instruction=SYSTEM,
        max_output_tokens=25_050,
        temperature=0.0,
        response_mime_type="application/json",
        response_json_schema=SCHEMA,
        store=False,
    )
    return lambda: (
        client.models.generate_content(model=MODELS["gemini"], contents=TEXT, config=config).text
    )


THEIRS = {"openai": their_openai, "anthropic": their_anthropic, "gemini": their_gemini}


def measured(
    calls: tuple[Callable[[], object], ...],
    times: int,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[float], ...]:
    """Milliseconds of each call, all in turn; the first tenth warms up and is left out."""
    times_of_calls: tuple[list[float], ...] = tuple([] for _ in calls)
    for _ in range(times + times // 10):
        for times_of, call in zip(times_of_calls, calls, strict=True):
            began = clock()
            call()
            times_of.append((clock() - began) * 1e3)
    return tuple(each[times // 10 :] for each in times_of_calls)


def figures(times: int) -> Iterator[Figure]:
    for name, client in THEIRS.items():
        progress(f"a call to {name}")
        own, theirs = measured((ours(name), client()), times)
        share = median(own) / median(theirs)
        yield Figure(f"own time in a call to {name}, p50", median(own), "ms", TARGET_MS, True)
        yield Figure(f"… of {name}'s own client, p50", median(theirs), "ms")
        yield Figure(f"… ours as a share of it ({name})", share, "", TARGET_SHARE, True)


def loopback(times: int) -> Iterator[Figure]:
    """Processor time of one POST: ours, httpx.Client's, and http.client's as the yardstick."""
    progress("a POST on loopback")
    body = {"model": "small", "messages": [{"role": "user", "content": TEXT}]}
    with model_server("--latency-ms", "0") as base_url:
        path = "chat/completions"
        own = Transport(base_url, {"authorization": f"Bearer {KEY}"}, MOST_BYTES)
        parts = urlsplit(base_url)
        assert parts.hostname is not None
        plain = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60.0)
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        with httpx.Client(trust_env=False, headers=headers) as client:

            def by_the_standard_library() -> object:
                plain.request("POST", f"{parts.path}/{path}", json.dumps(body), headers)
                return plain.getresponse().read()

            calls = (
                lambda: own.post(path, body, 60.0).body,
                lambda: client.post(f"{base_url}/{path}", json=body).content,
                by_the_standard_library,
            )
            ours_ms, theirs_ms, plain_ms = map(median, measured(calls, times, time.thread_time))
        plain.close()
        own.close()
    yield Figure("processor time of a POST on loopback, p50", ours_ms, "ms")
    yield Figure("… of httpx.Client, p50", theirs_ms, "ms")
    yield Figure("… of http.client, p50", plain_ms, "ms")
    yield Figure("… ours as a share of httpx.Client's", ours_ms / theirs_ms, "", TARGET_HTTP, True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls", description=__doc__)
    arguments = read_arguments(parser, {})
    times = 200 if arguments.short else 1_000
    all_figures = [*figures(times), *loopback(times)]
    return hand_over(all_figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
