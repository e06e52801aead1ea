"""Datasets as files to fine-tune a model on, in the forms that providers and trainers take.

A form is a file here with `row`, which writes an example, and `faults`, which says what is wrong
with a row that somebody wrote: a validator that does not go by what `row` does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tierline.base.json_text import JSON
from tierline.datasets.export import mistral, openai, together, trl, vertex
from tierline.features.prompts import Message


@dataclass(frozen=True)
class Form:
    """One form of file."""

    row: Callable[[Sequence[Message], str], JSON]  # a prompt, and the answer that is right
    faults: Callable[[JSON], list[str]]
    fewest: int  # examples that the provider takes


FORMS: Mapping[str, Form] = {
    "openai": Form(openai.row, openai.faults, openai.FEWEST),
    "mistral": Form(mistral.row, mistral.faults, mistral.FEWEST),
    "vertex": Form(vertex.row, vertex.faults, vertex.FEWEST),
    "together": Form(together.row, together.faults, together.FEWEST),
    "trl": Form(trl.row, trl.faults, trl.FEWEST),
}
