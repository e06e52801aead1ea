"""The feature `amounts`, of two priced tiers, and a model server that answers it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

AMOUNT = """feature: amounts
instructions: Give the amount.
input: {type: object, required: [text], properties: {text: {type: string}}}
output: {type: object, required: [amount], properties: {amount: {type: number}}}
tiers:
  - name: slm
    models: [openai:small]
    max_tokens: 20
    prices:
      openai:small: {input_usd_per_mtok: 0.1, output_usd_per_mtok: 0.4}
  - name: frontier
    models: [openai:large]
    max_tokens: 20
    prices:
      openai:large: {input_usd_per_mtok: 10, output_usd_per_mtok: 40}
"""


def write_rows(path: Path, count: int) -> None:
    """So many labelled rows for a dataset of the feature."""
    with path.open("w") as sink:
        for number in range(100, 100 + count):
            text = f"It costs {number} euros in the {number % 7}th shop on street {number * 31}"
            sink.write(json.dumps({"input": text, "expected": {"amount": number}}) + "\n")


def answering(lost: Callable[[int], bool]) -> Callable[[Any], str]:
    """The large model knows all, the small one not what is lost to it."""

    def answer(body: Any) -> str:
        words = body["messages"][-1]["content"].replace("\n", " ").split()
        number = next(int(word) for word in words if word.isdigit())
        wrong = body["model"] == "small" and lost(number)
        return json.dumps({"amount": number + wrong})

    return answer
