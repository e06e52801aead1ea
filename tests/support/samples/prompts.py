"""A prompt with an example, as datasets are exported with."""

from tierline.features.prompts import Message

PROMPT = [
    Message("system", "Name the kind."),
    Message("user", "<input>\nan example\n</input>"),
    Message("assistant", "billing"),
    Message("user", "<input>\nmy card was charged twice\n</input>"),
]
