"""One thing of each kind that a path of the API may name."""

from collections.abc import Callable
from typing import Any

import psycopg

from tests.support.api.access import CANCEL_ALL, ENDPOINT, YAML
from tests.support.api.served import Api
from tests.support.database.rows import (
    add_calibration,
    add_dataset,
    add_evaluation,
    add_micro_model,
    add_operation,
    add_person,
    add_router,
)
from tierline.services.accounts.accounts import create_key

Connection = psycopg.Connection[Any]


class Things:
    """Makes one thing of the first account of each kind that a path may name, anew each time."""

    def __init__(self, api: Api, rows: Connection) -> None:
        self._api = api
        self._rows = rows

    def path(self, template: str) -> str:
        return template.format_map(_Filled(self.one)) if "{" in template else template

    def one(self, name: str) -> str:
        make: dict[str, Callable[[], Any]] = {
            "job_id": lambda: self._api.submit()["id"],
            "batch_id": lambda: self._api.post("/v1/batches", json={"feature": "echo"}).json()[
                "id"
            ],
            "endpoint_id": self._endpoint,
            "action_id": self._bulk_action,
            "delivery_id": lambda: self._api.post(
                f"/v1/webhook-endpoints/{self._endpoint()}/test"
            ).json()["id"],
            "key_id": lambda: create_key(self._rows, "default").row["id"],
            "person_id": lambda: add_person(self._rows),
            "draft_id": lambda: self._api.post(
                "/v1/drafts", content=YAML, headers={"Content-Type": "application/yaml"}
            ).json()["id"],
            "number": lambda: 1,
            "version": lambda: add_dataset(self._rows, "echo"),
            "router_id": lambda: add_router(self._rows, "echo"),
            "search_id": lambda: add_operation(self._rows, "echo", "calibration"),
            "training_id": lambda: add_operation(self._rows, "echo", "router"),
            "model_id": lambda: add_micro_model(self._rows, "echo"),
            "budget_id": lambda: self._api.post(
                "/v1/budgets", json={"account": "default", "period": "day", "limit_usd": "1000000"}
            ).json()["id"],
            "evaluation_id": lambda: add_evaluation(self._rows, "echo"),
            "calibration_id": lambda: add_calibration(self._rows, "echo"),
            "name": lambda: "default",  # an account's, and below a feature's
        }
        return str(make[name]())

    def _bulk_action(self) -> str:
        # An account has a bounded number of running ones.
        self._rows.execute("UPDATE bulk_actions SET status = 'completed'")
        return str(self._api.post("/v1/bulk-actions", json=CANCEL_ALL).json()["id"])

    def _endpoint(self) -> str:
        # An account has a bounded number of them.
        for row in self._api.get("/v1/webhook-endpoints").json()["data"][5:]:
            self._api.send("DELETE", f"/v1/webhook-endpoints/{row['id']}")
        return str(self._api.post("/v1/webhook-endpoints", json=ENDPOINT).json()["id"])


class _Filled(dict[str, str]):
    def __init__(self, make: Callable[[str], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> str:
        return self._make(name)
