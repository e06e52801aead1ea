"""How the model server answers the trace: as long as the trace says, and now and then wrongly.

Runs in the model server's own process (`--script benchmarks.trace.answers:answer`).
"""

import json
from typing import Any

from benchmarks.trace.asks import LETTERS_A_TOKEN, read_mark
from tests.support.fake_servers.model_server import Reply

FIRST_S = 0.05  # until the first token
TOKEN_S = 0.0003  # sped up like the trace
WRONG_EVERY = 20  # of the small model's answers one in so many fails its schema


def answer(body: dict[str, Any]) -> Reply:
    """The answer to one chat completion."""
    prompt = " ".join(str(message["content"]) for message in body["messages"])
    number, tokens_in, tokens_out = read_mark(prompt) or (1, 100, 10)
    wrong = body["model"] == "small" and number % WRONG_EVERY == 0
    text = "{}" if wrong else json.dumps({"text": "word"[:LETTERS_A_TOKEN] * tokens_out})
    usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out}
    return Reply(text, usage=usage, delay_s=FIRST_S + tokens_out * TOKEN_S)
