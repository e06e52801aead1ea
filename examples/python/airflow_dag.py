"""An Airflow DAG that runs yesterday's tickets as a batch. A retried task goes on where it was."""

import json
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk import dag, get_current_context, task

from tierline_client import Tierline

DATA = Path("/data")


@dag(schedule="@daily", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False)
def ticket_summaries() -> None:
    @task(retries=5)
    def summarise(day: str) -> str:
        lines = (DATA / f"tickets/{day}.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        target = DATA / f"summaries/{day}.jsonl"
        with Tierline(app="airflow/ticket-summaries") as client, target.open("w") as out:
            # The key is the day: a retry finds the batch, and no ticket runs twice.
            for row in client.batches.run("ticket-summary", rows, key=f"tickets-{day}"):
                out.write(json.dumps({"row": row.row, "summary": row.output}) + "\n")
        return str(target)

    @task
    def today() -> str:
        return str(get_current_context()["ds"])

    summarise(today())


ticket_summaries()
