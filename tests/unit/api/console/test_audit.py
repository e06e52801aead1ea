"""Entries of the log in words."""

from datetime import UTC, datetime
from typing import Any

from api.console.views.audit import WORDS, entry_text
from tierline.services.accounts import audit
from tierline.services.accounts.audit import LoggedEntry


def entry(action: str, detail: dict[str, Any] | None = None) -> LoggedEntry:
    return LoggedEntry(
        1, datetime(2026, 3, 1, tzinfo=UTC), "a", 7, "", "tl_", "", action, None, detail
    )


def test_every_action_has_its_words() -> None:
    actions = {
        value
        for name, value in vars(audit).items()
        if name.isupper() and isinstance(value, str) and "." in value
    }
    assert actions == WORDS.keys()


def test_an_entry_says_what_was_done_about_what() -> None:
    text = entry_text(entry(audit.BATCH_STARTED, {"batch": "b", "rows": 3}))
    assert text == ("started a batch", "batch b, rows 3")
    assert entry_text(entry("later.release")) == ("later.release", "")
