"""What a model may be called: a name that leads nowhere else, wherever it is put.

A model's name stands in the URL of some providers (there percent-encoded, as one segment), in the
body of a request to others, in metrics and in logs. Names of several parts are common
(`meta-llama/Llama-3.1-8B`, `ft:gpt-4o:org::id`, `hf.co/org/model:Q4_K_M`); what could lead out of
its place in a URL or on a disk is none.
"""

import re

_PART = r"[A-Za-z0-9_@~+-][A-Za-z0-9._:@~+=,-]*"
_NAME = re.compile(rf"{_PART}(/{_PART})*")
MOST = 200  # characters


def name_fault(model: str) -> str | None:
    """What is wrong with a model's name, as its provider calls it; None: nothing."""
    if len(model) <= MOST and _NAME.fullmatch(model):
        return None
    return (
        f"{model[:60]!r} is no model's name: ASCII letters, digits and . _ : @ ~ + = , - make one,"
        " in parts between single slashes, none of which begins with a dot"
    )
