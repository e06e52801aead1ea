"""Running requests again stays within the account's limit, whoever else submits meanwhile."""

import pytest

from tests.support.database.rows import add_account, add_feature, add_job, two_tiers
from tierline.base.errors import LimitReached
from tierline.services.jobs.submitting.run_again import RunAgain
from tierline.storage.db.engine import connect
from tierline.storage.operations.bulk_actions import request_of


def test_a_small_limit_is_counted_again_for_each_job(fresh_database_url: str) -> None:
    with connect(fresh_database_url, "test") as db:
        account, version = add_account(db, "acme"), add_feature(db, two_tiers())
        db.execute("UPDATE accounts SET max_queued_jobs = 3 WHERE id = %s", (account,))
        request = request_of(db, account, add_job(db, account, version))
        assert request is not None
        again = RunAgain(db, account)
        with db.transaction():
            again.submit(request, {})
        add_job(db, account, version)  # another process accepts one
        with pytest.raises(LimitReached), db.transaction():
            again.submit(request, {})
