"""How the model server of a fault run answers: by the mark and the plan that stand in the input.

Runs in the model server's own process (`--script tests.faults.answers:answer`).
"""

import json
import math
from collections import Counter
from typing import Any
from zlib import crc32

from tests.faults.features import LABELS
from tests.faults.orders import label_of, read_mark
from tests.support.fake_servers.model_server import Reply

POISON_S = 3600.0  # a poison job's call does not end: its worker is killed first
REFUSED = "mid"  # a model whose key is refused
BUSY = Reply(
    "come back later", status=429, headers={"Retry-After": "1"}
)  # Retry-After in seconds, RFC 9110

_calls: Counter[str] = Counter()  # by mark


def answer(body: dict[str, Any]) -> Reply:
    """The answer to one chat completion."""
    found = read_mark(_asked(body))
    if found is None:
        return _scores(None, 0.01, "")  # an input without content, asked for its scores
    mark, plan = found
    _calls[mark] += 1
    chance = crc32(f"{mark} {_calls[mark]}".encode())
    delay_s = 0.05 + (chance % 1000) / 1000 * 0.6
    if body["model"] == REFUSED:
        return Reply("this key is not good", status=401, note=mark)
    if plan == "poison":
        return Reply(delay_s=POISON_S, note=mark)
    if plan == "busy" and _calls[mark] == 1:
        return Reply(BUSY.text, BUSY.status, BUSY.headers, note=mark)
    if body.get("logprobs"):
        return _scores(mark, delay_s, plan)
    again = any(message["role"] == "assistant" for message in body["messages"])
    if plan == "refuse" and body["model"] == "small":
        return Reply("", refusal="No.", usage=_usage(chance), delay_s=delay_s, note=mark)
    wrong = (
        plan == "fail"
        or (plan == "escalate" and body["model"] == "small")
        or (plan == "reask" and not again)
    )
    shelf = "shelf" in json.dumps(body.get("response_format"))
    right = {"shelf": label_of(mark)} if shelf else {"mark": mark}
    text = json.dumps({"mark": "somebody-elses"} if wrong else right)
    return Reply(text, usage=_usage(chance), delay_s=delay_s, note=mark)


def _asked(body: dict[str, Any]) -> str:
    return "\n".join(str(m["content"]) for m in body["messages"] if m["role"] == "user")


def _scores(mark: str | None, delay_s: float, plan: str) -> Reply:
    """The next token's log probabilities: all alike without a mark, or when in doubt."""
    best = label_of(mark) if mark is not None and plan != "doubt" else None
    share = {label: 0.85 if label == best else 0.05 for label in LABELS}
    if best is None:
        share = dict.fromkeys(LABELS, 0.25)
    top = [{"token": f" {label}", "logprob": math.log(p)} for label, p in share.items()]
    return Reply(
        " " + (best or LABELS[0]),
        usage=_usage(crc32((mark or "").encode())),
        logprobs=[{**top[0], "top_logprobs": top}],
        delay_s=delay_s,
        note=mark or "",
    )


def _usage(chance: int) -> dict[str, int]:
    """Tokens that differ from call to call, so that a cost under the wrong call shows."""
    return {"prompt_tokens": 50 + chance % 997, "completion_tokens": 1 + chance % 41}
