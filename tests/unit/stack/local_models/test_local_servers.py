"""Which processes serve a local model."""

import pytest

from tierline.stack.local_models.local_servers import shares
from tierline.stack.local_models.models import QWEN, SMOLLM2


@pytest.mark.parametrize(
    ("threads", "expected"),
    [
        (1, [(4, 1)]),
        (2, [(2, 1), (2, 1)]),
        (3, [(2, 1), (1, 1), (1, 1)]),
        (4, [(1, 1)] * 4),
        (8, [(1, 2)] * 4),
    ],
)
def test_a_small_models_servers_share_its_slots_and_the_cores(
    threads: int, expected: list[tuple[int, int]]
) -> None:
    assert shares(SMOLLM2, threads) == expected


def test_a_larger_model_is_one_server_with_all_of_them() -> None:
    assert shares(QWEN, 2) == [(2, 2)]
