"""A model server that knows the inputs of the examples, in the place of their small local model.

It answers some of them right, and the others with a wrong label, as the small model does: a
classifier that learns from people's labels is then better than it.
"""

import json
import re
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from examples.demo.rows import read_rows
from examples.lifecycle.tickets import tickets
from tests.support.fake_servers.model_server import ModelServer, Reply
from tests.support.processes.started import ROOT

RIGHT_OF_TEN = 4
LIKELY, UNLIKELY = -0.2, -3.0  # log probabilities of a label
ORDER_NUMBER = re.compile(r"[A-Z]{2}-\d{4}")
LETTERS = "Answer with the letter alone."


@contextmanager
def answering_tickets(count: int, seeds: Iterable[int], late: float) -> Iterator[str]:
    """The address, for so many tickets of the lifecycle of each of these seeds, without any of the
    late kind and with this share of it.
    """
    parts = [tickets(count, seed, share) for seed in seeds for share in (0.0, late)]
    labels = {ticket.text: ticket.label for part in parts for ticket in part}
    with ModelServer(AnswerKey(labels)) as server:
        yield server.url


@contextmanager
def answering_demo(held: str, release: threading.Event) -> Iterator[str]:
    """The address, for the inputs of the demo. The text `held` is answered after the release."""
    labels = {}
    for row in read_rows():
        expected = row.expected or {}
        labels[row.input["text"]] = expected.get("category") or json.dumps(expected)
    answer = AnswerKey(labels)

    def answer_or_hold(body: Any) -> Reply:
        reply = answer(body)
        if any(held in one["content"] for one in body["messages"]):
            return replace(reply, release=release)
        return reply

    with ModelServer(answer_or_hold) as server:
        yield server.url


@contextmanager
def answering_docs() -> Iterator[str]:
    """The address, for the pages of the documentation: their order numbers, and labelled tickets.

    A message without an order number gets an invented one, as from the small model.
    """
    lines = (ROOT / "examples" / "labelled" / "tickets.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    tickets = AnswerKey({row["input"]["text"]: row["expected"]["category"] for row in rows})

    def answer(body: Any) -> Reply:
        if body.get("logprobs"):
            return tickets(body)
        question = [one["content"] for one in body["messages"] if one["role"] == "user"][-1]
        match = ORDER_NUMBER.search(question)
        return Reply(text=json.dumps({"order_number": match[0] if match else "AA-0000"}))

    with ModelServer(answer) as server:
        yield server.url


class AnswerKey:
    """A model that answers each known input with its label."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        self._answers = answers
        self._labels = sorted({label for label in answers.values() if not label.startswith("{")})

    def __call__(self, body: Any) -> Reply:
        question = [one["content"] for one in body["messages"] if one["role"] == "user"][-1]
        answer = next(
            (known_answer for text, known_answer in self._answers.items() if text in question),
            "none",
        )
        if not body.get("logprobs"):
            return Reply(text=answer if answer.startswith("{") else json.dumps(answer))
        codes = _codes(body["messages"][0]["content"], self._labels)
        wrong = zlib.crc32(question.encode()) % 10 >= RIGHT_OF_TEN
        chosen = next(iter(codes)) if wrong else answer
        top = [
            {"token": code, "logprob": LIKELY if label == chosen else UNLIKELY}
            for label, code in codes.items()
        ]
        return Reply(text=codes.get(chosen, "?"), logprobs=[{"top_logprobs": top}])


def _codes(instructions: str, labels: Iterable[str]) -> dict[str, str]:
    """What stands for each label in a label call: a letter that it names, or the label itself."""
    if LETTERS not in instructions:
        return {label: label for label in labels}
    lines = instructions.partition(LETTERS)[2].splitlines()
    pairs = [line.split(": ", 1) for line in lines if ": " in line]
    return {label: code for code, label in pairs}
