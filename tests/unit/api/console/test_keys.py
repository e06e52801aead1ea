"""API keys as the console shows them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.console.views.keys import shown_key

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER, EARLIER = NOW + timedelta(days=1), NOW - timedelta(days=1)


@pytest.mark.parametrize(
    ("more", "word", "rotate", "revoke"),
    [
        ({}, "valid", True, True),
        ({"expires_at": LATER}, "valid", True, True),
        ({"expires_at": LATER, "replaced_by": 8}, "being replaced", False, True),
        ({"expires_at": EARLIER}, "expired", False, False),
        ({"revoked_at": EARLIER}, "revoked", False, False),
    ],
    ids=str,
)
def test_a_keys_state_says_what_may_be_done_with_it(
    more: dict[str, Any], word: str, rotate: bool, revoke: bool
) -> None:
    row = {
        **{"id": 7, "account": "a", "name": "", "prefix": "tl_abc", "scopes": ["read"]},
        **{"created_at": EARLIER, "expires_at": None, "revoked_at": None},
        **{"last_used_at": None, "replaced_by": None, **more},
    }
    shown = shown_key(row, NOW, own=False)
    assert (shown.mark.word, shown.may_rotate, shown.may_revoke) == (word, rotate, revoke)
