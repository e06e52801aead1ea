"""Agreement among samples of one question: self-consistency (Wang et al., arXiv 2203.11171)."""

from collections import Counter
from collections.abc import Sequence

from tierline.json_text import JSON, canonical_json


def agreement(outputs: Sequence[JSON]) -> tuple[int, float]:
    """The index of the first output of the largest group of equals, and the group's share, 0..1.

    1 equals 1.0 and the order of names does not count; of groups of one size the first seen wins.
    Raises ValueError when there are no outputs.
    """
    if not outputs:
        raise ValueError("no outputs to compare")
    texts = [canonical_json(output) for output in outputs]
    text, count = Counter(texts).most_common(1)[0]  # ties: insertion order
    return texts.index(text), count / len(texts)
