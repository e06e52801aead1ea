"""Agreement among samples of one question: self-consistency (Wang et al., arXiv 2203.11171)."""

from collections import Counter
from collections.abc import Sequence

from tierline.base.json_text import JSON, canonical_json


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


def decided(outputs: Sequence[JSON], left: int, of: int, threshold: float) -> bool:
    """Whether `left` more samples, of `of` in all, can change neither the answer nor its fate.

    `outputs` are those so far that passed the checks. The fate is whether the largest group's share
    of all samples reaches `threshold`.
    """
    counts = Counter(canonical_json(output) for output in outputs)
    sizes = [size for _, size in counts.most_common(2)]
    largest, second = (*sizes, 0, 0)[:2]
    if (largest + left) / of < threshold:
        return True
    return largest / of >= threshold and second + left < largest
