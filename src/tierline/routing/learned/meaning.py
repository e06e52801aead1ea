"""Groups of texts that mean nearly the same, by their embeddings.

A split by near duplicates leaves paraphrases on both sides, so that held-out rows are closer to the
training rows than new traffic is. A split by these groups does not.
"""

from tierline.base.vectors import Vectors

ALIKE = 0.75
"""The cosine from which two texts share a group. On BANKING77 that is a paraphrase: three texts a
group on average."""
AT_ONCE = 512  # rows that are compared with the groups at a time


def meaning_groups(vectors: Vectors, alike: float = ALIKE) -> list[int]:
    """For each row, the place of the row that leads its group: the most similar earlier leader, if
    one is similar enough, else itself. The order of the rows matters (leader clustering, Hartigan
    1975).
    """
    import numpy as np

    groups: list[int] = []
    leaders: list[int] = []
    for begin in range(0, len(vectors), AT_ONCE):
        block = vectors[begin : begin + AT_ONCE]
        first_new = len(leaders)
        earlier = block @ vectors[leaders].T if leaders else None
        for place, row in enumerate(block):
            best, of = alike, -1
            if earlier is not None:
                nearest = int(earlier[place].argmax())
                if earlier[place, nearest] >= best:
                    best, of = float(earlier[place, nearest]), leaders[nearest]
            if len(leaders) > first_new:
                cosines = vectors[leaders[first_new:]] @ row
                nearest = int(np.argmax(cosines))
                if cosines[nearest] >= best:
                    of = leaders[first_new + nearest]
            if of < 0:
                of = begin + place
                leaders.append(of)
            groups.append(of)
    return groups
