"""The requests of the trace: when each came, and how long its prompt and its answer were.

An hour of a conversation service of Azure's (Azure Public Dataset 2023, CC-BY-4.0; Patel et al.,
"Splitwise", 2024): 19,366 requests, 16 a second at the peak. The trace has no texts, so that ours
are of that length and say nothing.
"""

import csv
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

TRACE = Path(__file__).parents[3] / "shared/data/azure-llm-trace/conv.csv"
LETTERS_A_TOKEN = 4
_MARK = re.compile(r"request (\d+): (\d+) tokens in, (\d+) out")


@dataclass(frozen=True)
class Ask:
    """One request. `at_s` is from the first one's arrival on."""

    number: int
    at_s: float
    tokens_in: int
    tokens_out: int

    @property
    def text(self) -> str:
        """A prompt of about as many tokens; it begins with what the model's script reads."""
        mark = f"request {self.number}: {self.tokens_in} tokens in, {self.tokens_out} out. "
        return mark + "word" * max(0, self.tokens_in - len(mark) // LETTERS_A_TOKEN)


def read_trace(path: Path = TRACE, most: int | None = None) -> list[Ask]:
    """The first `most` requests, or all."""
    asks: list[Ask] = []
    with path.open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            if number == most:
                break
            at = datetime.fromisoformat(row["TIMESTAMP"][:26])
            if not asks:
                began = at
            at_s = (at - began).total_seconds()
            asks.append(Ask(number, at_s, int(row["ContextTokens"]), int(row["GeneratedTokens"])))
    return asks


def read_mark(text: str) -> tuple[int, int, int] | None:
    """Number, tokens in and out of the request whose prompt stands in `text`."""
    match = _MARK.search(text)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3]))
