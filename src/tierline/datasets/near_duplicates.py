"""Exact and near duplicates among texts, by MinHash (Broder 1997) and locality-sensitive hashing.

Two texts are near duplicates if the sets of their runs of SHINGLE characters overlap by at least
ALIKE. The hashes give candidates, and each is compared exactly, so there are no false pairs.
"""

from collections.abc import Sequence

from tierline.base.text import folded

ALIKE = 0.8  # share of runs that both texts have (Jaccard)
SHINGLE = 5  # characters
PERMUTATIONS = 64  # hashes per text; they find about 99% of the pairs that are ALIKE
BANDS, ROWS = 16, 4  # a pair with equal hashes in a whole band is a candidate
LONGEST = 20_000  # characters of a text that are compared; the rest is ignored
AT_ONCE = 5_000  # texts whose shingles are in memory at a time


def groups(texts: Sequence[str]) -> list[int]:
    """For each text, the number of its group: the position of the first text that it is like, also
    indirectly (a like b and b like c are one group). Raises ImportError without the extra
    `routing`.
    """
    normal = [_normal(text) for text in texts]
    first: dict[str, int] = {}
    parents = [first.setdefault(text, place) for place, text in enumerate(normal)]
    distinct = sorted(first.values())
    for one, other in _near(normal, distinct):
        a, b = _root(parents, one), _root(parents, other)
        parents[max(a, b)] = min(a, b)
    return [_root(parents, place) for place in range(len(texts))]


def _near(texts: Sequence[str], places: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs of positions whose texts are near duplicates. In each band, candidates are compared
    with the first of them only, which is enough to form one group.
    """
    import numpy as np
    from datasketch import MinHash

    buckets: dict[tuple[int, bytes], int] = {}
    pairs: list[tuple[int, int]] = []
    seeds = MinHash(num_perm=PERMUTATIONS)
    for start in range(0, len(places), AT_ONCE):
        some = places[start : start + AT_ONCE]
        hashed = MinHash.bulk(
            ([run.encode() for run in _runs(texts[place])] for place in some),
            num_perm=PERMUTATIONS,
            permutations=seeds.permutations,
            scheme=seeds.scheme,
        )
        for place, signature in zip(some, hashed, strict=True):
            values = np.ascontiguousarray(signature.hashvalues)
            seen: set[int] = set()
            for band in range(BANDS):
                key = (band, values[band * ROWS : (band + 1) * ROWS].tobytes())
                other = buckets.setdefault(key, place)
                if other != place and other not in seen:
                    seen.add(other)
                    if _overlap(texts[place], texts[other]) >= ALIKE:
                        pairs.append((other, place))
    return pairs


def _overlap(one: str, other: str) -> float:
    a, b = _runs(one), _runs(other)
    return len(a & b) / len(a | b)


def _runs(text: str) -> set[str]:
    text = text[:LONGEST]
    return {text[start : start + SHINGLE] for start in range(max(1, len(text) - SHINGLE + 1))}


def _normal(text: str) -> str:
    return " ".join(folded(text[:LONGEST]).split()) + text[LONGEST:]


def _root(parents: list[int], place: int) -> int:
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = parents[place]
    return place
