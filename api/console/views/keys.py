"""API keys as the console shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.console.views.marks import Mark
from tierline.views.accounts.accounts import Key


@dataclass(frozen=True)
class ShownKey:
    """A key and what may be done with it."""

    key: Key
    mark: Mark
    own: bool  # the one that this person is signed in with

    @property
    def may_rotate(self) -> bool:
        return self.mark.word == "valid"

    @property
    def may_revoke(self) -> bool:
        return self.mark.word in ("valid", "being replaced")


def shown_key(row: Mapping[str, Any], now: datetime, *, own: bool) -> ShownKey:
    """The key of a row, with its state at `now`."""
    key = Key.model_validate(row)
    if key.revoked_at is not None:
        mark = Mark("⊘", "revoked", "quiet")
    elif key.expires_at is not None and key.expires_at <= now:
        mark = Mark("◷", "expired", "quiet")
    elif key.replaced_by is not None:
        mark = Mark("◐", "being replaced", "warn")
    else:
        mark = Mark("✓", "valid", "good")
    return ShownKey(key, mark, own)
