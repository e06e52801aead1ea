"""Files that were sent for a batch stay within the account's number, also if many come at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.database.rows import add_account
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.errors import LimitReached
from tierline.services.batches.uploads import MOST_UPLOADS, keep_upload
from tierline.storage.batches import uploads
from tierline.storage.db.engine import create_pool

KEY = 7
WAITS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND wait_event_type = 'Lock'"
)


def test_two_files_at_once_do_not_pass_the_limit(fresh_database_url: str) -> None:
    with (
        create_pool(fresh_database_url, "test", 3) as pool,
        pool.connection() as first,
        pool.connection() as second,
        pool.connection() as other,
        ThreadPoolExecutor(1) as thread,
    ):
        account = add_account(first, "acme")
        for number in range(MOST_UPLOADS - 1):
            keep_upload(first, account, KEY, f"{number}.csv", b"a")
        with first.transaction():
            keep_upload(first, account, KEY, "last.csv", b"a")
            late = thread.submit(keep_upload, second, account, KEY, "late.csv", b"a")
            wait_until(
                lambda: late.done() or other.execute(WAITS).fetchone() == (1,), DEADLINE_S, "it"
            )
        with pytest.raises(LimitReached):
            late.result(DEADLINE_S)
        keep_upload(first, add_account(first, "other"), KEY, "own.csv", b"a")
        assert uploads.remove_old(first, 0.0, 100) == MOST_UPLOADS + 1
