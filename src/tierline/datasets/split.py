"""Which rows are for training, calibration and testing, by a draw per group.

Near duplicates are on one side, so that no test row has a near duplicate in training.
"""

from collections.abc import Sequence
from typing import Literal, get_args

from tierline.routing.first_tier import share_of

Side = Literal["train", "calibration", "test"]
SIDES: tuple[Side, ...] = get_args(Side)
SHARES = (0.6, 0.2)  # of training and of calibration; the rest is for testing


def sides(keys: Sequence[str], groups: Sequence[int]) -> list[Side]:
    """The side of each row. `keys`: each row's own, such as its input's digest; `groups`: see
    `alike.groups`.

    The group's smallest key decides, so a row keeps its side from version to version as long as no
    row with a smaller key joins its group.
    """
    smallest: dict[int, str] = {}
    for key, group in zip(keys, groups, strict=True):
        smallest[group] = min(key, smallest.get(group, key))
    return [_side(share_of("dataset", smallest[group])) for group in groups]


def _side(drawn: float) -> Side:
    if drawn < SHARES[0]:
        return "train"
    return "calibration" if drawn < SHARES[0] + SHARES[1] else "test"
