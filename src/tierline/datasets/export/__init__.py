"""Datasets as files for fine-tuning, in the formats of providers and trainers.

A format is a file here with `row`, which writes an example, and `faults`, an independent validator
that says what is wrong with a given row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tierline.base.json_text import JSON
from tierline.datasets.export import mistral, openai, together, trl, vertex
from tierline.features.prompts import Message


@dataclass(frozen=True)
class Form:
    """One file format."""

    row: Callable[[Sequence[Message], str], JSON]  # from a prompt and the right answer
    faults: Callable[[JSON], list[str]]
    fewest: int  # the least examples that the provider accepts


FORMS: Mapping[str, Form] = {
    "openai": Form(openai.row, openai.faults, openai.FEWEST),
    "mistral": Form(mistral.row, mistral.faults, mistral.FEWEST),
    "vertex": Form(vertex.row, vertex.faults, vertex.FEWEST),
    "together": Form(together.row, together.faults, together.FEWEST),
    "trl": Form(trl.row, trl.faults, trl.FEWEST),
}
