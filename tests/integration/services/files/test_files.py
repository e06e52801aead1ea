"""An account's files stay within its room while several of them are uploaded."""

import pytest

from tests.support.database.rows import add_account
from tierline.base.errors import LimitReached
from tierline.base.settings import settings
from tierline.services.files import files
from tierline.storage.db.engine import connect
from tierline.storage.files.files import account_bytes


def test_uploads_at_the_same_time_do_not_pass_the_accounts_room_together(
    fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "max_account_file_bytes", 1_000)
    monkeypatch.setattr(files, "CHECK_BYTES", 100)
    with connect(fresh_database_url, "test") as connection:
        account = add_account(connection, "acme")
        begun = [files.begin_upload(connection, account, f"{number}") for number in range(5)]
        for upload in [*begun, *begun]:
            files.add_part(connection, upload, b"a" * 100)
        with pytest.raises(LimitReached):
            files.add_part(connection, begun[1], b"a" * 100)
        assert account_bytes(connection, account) == 1_000
        files.discard(connection, begun[0])
        files.add_part(connection, begun[1], b"a" * 100)
