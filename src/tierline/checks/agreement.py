"""Agreement among samples of one question: self-consistency (Wang et al., arXiv 2203.11171)."""

from collections import Counter
from collections.abc import Sequence

from tierline.base.json_text import JSON, canonical_json


def agreement(outputs: Sequence[JSON]) -> tuple[int, float]:
    """The index of the first output of the largest group of equal outputs, and the group's share,
    0..1.

    1 equals 1.0, and the order of names does not matter. Among groups of one size the first seen
    wins. Raises ValueError if there are no outputs.
    """
    if not outputs:
        raise ValueError("no outputs to compare")
    texts = [canonical_json(output) for output in outputs]
    text, count = Counter(texts).most_common(1)[0]  # ties: insertion order
    return texts.index(text), count / len(texts)


def decided(outputs: Sequence[JSON], left: int, of: int, threshold: float) -> bool:
    """Whether the `left` samples still to come, of `of` in all, cannot change the result.

    `outputs` are the earlier ones that passed the checks. The result is the answer, and whether the
    largest group's share of all samples reaches `threshold`.
    """
    counts = Counter(canonical_json(output) for output in outputs)
    sizes = [size for _, size in counts.most_common(2)]
    largest, second = (*sizes, 0, 0)[:2]
    if (largest + left) / of < threshold:
        return True
    return largest / of >= threshold and second + left < largest
