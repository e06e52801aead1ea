"""Which model names are safe to use in a URL, a request body, metrics and logs.

A model's name is part of the URL of some providers (percent-encoded, as one segment). Names of
several parts are common (`meta-llama/Llama-3.1-8B`, `ft:gpt-4o:org::id`, `hf.co/org/model:Q4_K_M`).
A name that could change the path of a URL or of a file is refused.
"""

import re

_PART = r"[A-Za-z0-9_@~+-][A-Za-z0-9._:@~+=,-]*"
_NAME = re.compile(rf"{_PART}(/{_PART})*")
MOST = 200  # characters


def name_fault(model: str) -> str | None:
    """What is wrong with a model's name; None if it is fine."""
    if len(model) <= MOST and _NAME.fullmatch(model):
        return None
    return (
        f"{model[:60]!r} is not a valid model name: use ASCII letters, digits and . _ : @ ~ + = , -"
        " in parts separated by single slashes; no part may begin with a dot"
    )
