"""The process of `maintenance` reads the files of batches, without a message from the broker."""

import json

from tests.support.database.rows import add_account, add_feature, two_tiers
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.services.batches.batch_files import FileBatchRequest, create
from tierline.services.files.files import add_part, begin_upload, end_upload
from tierline.storage.db.engine import create_pool
from workers.batch_files import FileReader


def test_the_lines_of_a_batchs_file_become_its_jobs(fresh_database_url: str) -> None:
    body = {"model": "echo", "input": "hi", "user": "ann"}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": body}
    with create_pool(fresh_database_url, "test", 2) as pool, pool.connection() as connection:
        account = add_account(connection, "acme")
        add_feature(connection, two_tiers())
        upload = begin_upload(connection, account, "in.jsonl")
        add_part(connection, upload, json.dumps(line).encode())
        file, _ = end_upload(connection, upload, purpose="batch", kept_s=None, key=None)
        create(connection, account, FileBatchRequest(file["id"], "/v1/responses"))
        reader = FileReader(pool, every_s=0.05)
        reader.start()
        jobs = "SELECT j.custom_id, r.user_key FROM jobs j JOIN job_requests r ON r.job_id = j.id"
        wait_until(
            lambda: connection.execute(jobs).fetchall() == [("a", "ann")], DEADLINE_S, "the job"
        )
        sealed = "SELECT status FROM batches"
        wait_until(
            lambda: connection.execute(sealed).fetchall() == [("sealed",)], DEADLINE_S, "the end"
        )
        reader.stop()
