"""Each route of the OpenAPI document: which keys open it, and what another account's key meets."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Scopes = tuple[str, ...]


class Whose(Enum):
    """What another account's good key meets."""

    ONE = "404, as for what does not exist, and nothing changes"
    LIST = "a list without what is not its own"
    STREAM = "events of its own account: tests/integration/api/routes/jobs/test_events.py"
    OWN = "something of its own, which the first account does not see"
    KEY = "404 as well, unless it is an operator's, who looks after every account's keys"
    BY_ROLE = "its own account's; an operator's every account's"
    ALL = "the same for every account: features, queues, and what is the operator's"
    PUBLIC = "no key is needed"


@dataclass(frozen=True)
class Row:
    """One route. `opens`: the scopes that are enough together, and no fewer are."""

    whose: Whose
    opens: Scopes = ()
    body: Any = None
    content: bytes | None = None  # in place of a JSON body
    kind: str = "application/json"
    query: dict[str, str] = field(default_factory=dict)

    def request(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {"params": self.query}
        if self.content is not None:
            return {**arguments, "content": self.content, "headers": {"Content-Type": self.kind}}
        return arguments if self.body is None else {**arguments, "json": self.body}


READ, SUBMIT, ADMIN, OPERATOR = ("read",), ("submit",), ("admin",), ("operator",)
MANAGE = ("submit", "read")
JOB = {"feature": "echo", "input": {"text": "whose?"}}
ENDPOINT = {"url": "https://hooks.example.com/x"}
CANCEL_ALL = {"action": "cancel", "filter": {"feature": "none"}}
PART = b'{"input": {"text": "a row"}}\n'
NDJSON = "application/x-ndjson"
YAML = b"""feature: access
instructions: Echo.
input: {type: object}
output: {type: string}
tiers: [{name: slm, models: ["openai:small"]}]
"""
PRICE = {
    "model": "openai:small",
    "price": {"input_usd_per_mtok": "0.1", "output_usd_per_mtok": "0.4"},
}
ROUTER = {
    **{"rows": 100, "right_rows": 80, "data_sha256": "0" * 64, "quality": {}},
    "document": {"intercept": 1.0, "terms": {}},
}
MICRO_MODEL = {**ROUTER, "vectors": "UEsDBA=="}
ONE, LIST, OWN, ALL = Whose.ONE, Whose.LIST, Whose.OWN, Whose.ALL
STREAM = Whose.STREAM
KEY, BY_ROLE = Whose.KEY, Whose.BY_ROLE
ROWS: dict[tuple[str, str], Row] = {
    ("post", "/v1/jobs"): Row(OWN, SUBMIT, JOB),
    ("post", "/v1/jobs:batch"): Row(ALL, SUBMIT, {"jobs": [JOB]}),
    ("get", "/v1/jobs"): Row(LIST, READ),
    ("get", "/v1/jobs/{job_id}"): Row(ONE, READ),
    ("post", "/v1/jobs/{job_id}/cancel"): Row(ONE, SUBMIT),
    ("post", "/v1/jobs/{job_id}/retry"): Row(ONE, SUBMIT),
    ("get", "/v1/jobs/{job_id}/attempts"): Row(ONE, READ),
    ("post", "/v1/bulk-actions"): Row(OWN, MANAGE, {**CANCEL_ALL, "dry_run": False}),
    ("get", "/v1/bulk-actions"): Row(LIST, READ),
    ("get", "/v1/bulk-actions/{action_id}"): Row(ONE, READ),
    ("post", "/v1/bulk-actions/{action_id}/abort"): Row(ONE, MANAGE),
    ("get", "/v1/jobs/{job_id}/events"): Row(ONE, READ, query={"timeout_s": "0"}),
    ("get", "/v1/events"): Row(STREAM, READ, query={"timeout_s": "0"}),
    ("get", "/v1/jobs/{job_id}/decisions"): Row(ONE, READ),
    ("get", "/v1/jobs/{job_id}/route"): Row(ONE, READ),
    ("get", "/v1/decisions"): Row(LIST, READ),
    ("get", "/v1/features/{name}/calibrations"): Row(ALL, READ),
    ("post", "/v1/features/{name}/label-sample"): Row(ALL, ADMIN, {"count": 3}),
    ("get", "/v1/features/{name}/training-data"): Row(ALL, ADMIN),
    ("get", "/v1/features/{name}/routers"): Row(ALL, READ),
    ("post", "/v1/features/{name}/routers"): Row(ALL, OPERATOR, ROUTER),
    ("post", "/v1/features/{name}/routers/{router_id}/withdraw"): Row(ALL, OPERATOR),
    ("get", "/v1/features/{name}/datasets"): Row(ALL, READ),
    ("post", "/v1/features/{name}/datasets"): Row(ALL, OPERATOR, {"jobs": False}),
    ("get", "/v1/features/{name}/datasets/{version}"): Row(ALL, READ),
    ("get", "/v1/features/{name}/datasets/{version}/rows"): Row(ALL, OPERATOR),
    ("get", "/v1/features/{name}/evaluations"): Row(ALL, READ),
    ("post", "/v1/features/{name}/evaluations"): Row(ALL, OPERATOR, {}),
    ("get", "/v1/features/{name}/evaluations/{evaluation_id}"): Row(ALL, READ),
    ("post", "/v1/features/{name}/evaluations/{evaluation_id}/step"): Row(ALL, OPERATOR),
    ("post", "/v1/features/{name}/evaluations/{evaluation_id}/cancel"): Row(ALL, OPERATOR),
    ("get", "/v1/features/{name}/evaluations/{evaluation_id}/differing"): Row(
        ALL, OPERATOR, query={"tier": "slm"}
    ),
    ("get", "/v1/features/{name}/status"): Row(ALL, OPERATOR),
    ("get", "/v1/features/{name}/economics"): Row(ALL, OPERATOR),
    ("get", "/v1/features/{name}/promotions"): Row(ALL, READ),
    ("post", "/v1/features/{name}/promotions"): Row(ALL, OPERATOR, {}),
    ("post", "/v1/features/{name}/demote"): Row(ALL, OPERATOR, {"reason": "whose?"}),
    ("get", "/v1/features/{name}/drift"): Row(ALL, OPERATOR),
    ("get", "/v1/features/{name}/labels"): Row(ALL, ADMIN),
    ("get", "/v1/features/{name}/micro-models"): Row(ALL, READ),
    ("post", "/v1/features/{name}/micro-models"): Row(ALL, OPERATOR, MICRO_MODEL),
    ("post", "/v1/features/{name}/micro-models/{model_id}/withdraw"): Row(ALL, OPERATOR),
    ("get", "/v1/features/{name}/trainings"): Row(ALL, READ),
    ("post", "/v1/features/{name}/trainings"): Row(ALL, OPERATOR, {"kind": "router"}),
    ("get", "/v1/features/{name}/trainings/{training_id}"): Row(ALL, READ),
    ("post", "/v1/features/{name}/trainings/{training_id}/cancel"): Row(ALL, OPERATOR),
    ("get", "/v1/features/{name}/report"): Row(ALL, OPERATOR),
    ("get", "/v1/features/{name}/outcomes"): Row(ALL, OPERATOR),
    ("post", "/v1/feedback"): Row(ALL, SUBMIT, {"items": []}),
    ("get", "/v1/feedback/queue"): Row(LIST, READ),
    ("get", "/v1/features/{name}/label-progress"): Row(ALL, READ),
    ("post", "/v1/features/{name}/calibrations"): Row(ALL, OPERATOR, {"max_error": 0.03}),
    ("post", "/v1/features/{name}/calibrations/{calibration_id}/withdraw"): Row(
        ALL, OPERATOR, {"reason": "whose?"}
    ),
    ("post", "/v1/features/{name}/threshold-searches"): Row(ALL, OPERATOR, {"max_error": 0.03}),
    ("get", "/v1/features/{name}/threshold-searches"): Row(ALL, READ),
    ("get", "/v1/features/{name}/threshold-searches/{search_id}"): Row(ALL, READ),
    ("post", "/v1/features/{name}/threshold-searches/{search_id}/cancel"): Row(ALL, OPERATOR),
    ("post", "/v1/jobs/{job_id}/feedback"): Row(ONE, SUBMIT, {"correct": True}),
    ("delete", "/v1/jobs/{job_id}/content"): Row(ONE, SUBMIT),
    ("post", "/v1/batches"): Row(OWN, SUBMIT, {"feature": "echo"}),
    ("get", "/v1/batches"): Row(LIST, READ),
    ("get", "/v1/batches/{batch_id}"): Row(ONE, READ),
    ("put", "/v1/batches/{batch_id}/parts/{number}"): Row(ONE, SUBMIT, content=PART, kind=NDJSON),
    ("get", "/v1/batches/{batch_id}/parts"): Row(ONE, READ),
    ("post", "/v1/batches/{batch_id}/seal"): Row(ONE, SUBMIT, {"parts": 0}),
    ("post", "/v1/batches/{batch_id}/cancel"): Row(ONE, SUBMIT),
    ("post", "/v1/batches/{batch_id}/pause"): Row(ONE, SUBMIT),
    ("post", "/v1/batches/{batch_id}/resume"): Row(ONE, SUBMIT),
    ("delete", "/v1/batches/{batch_id}/content"): Row(ONE, SUBMIT),
    ("get", "/v1/batches/{batch_id}/output"): Row(ONE, READ),
    ("get", "/v1/batches/{batch_id}/errors"): Row(ONE, READ),
    ("get", "/v1/features"): Row(ALL, READ),
    ("post", "/v1/features"): Row(ALL, OPERATOR, content=YAML, kind="application/yaml"),
    ("get", "/v1/features/{name}"): Row(ALL, READ),
    ("post", "/v1/drafts"): Row(ALL, OPERATOR, content=YAML, kind="application/yaml"),
    ("post", "/v1/drafts/{draft_id}/jobs"): Row(ALL, OPERATOR, {"input": {"text": "whose?"}}),
    ("get", "/v1/models"): Row(ALL, READ),
    ("get", "/v1/prices"): Row(ALL, READ),
    ("post", "/v1/prices"): Row(ALL, OPERATOR, PRICE),
    ("get", "/v1/queues"): Row(ALL, READ),
    ("get", "/v1/circuits"): Row(ALL, READ),
    ("post", "/v1/circuits/probe"): Row(ALL, OPERATOR, {"model": "openai:none"}),
    ("get", "/v1/usage"): Row(LIST, READ, query={"group_by": "feature"}),
    ("post", "/v1/webhook-endpoints"): Row(OWN, MANAGE, ENDPOINT),
    ("get", "/v1/webhook-endpoints"): Row(LIST, READ),
    ("get", "/v1/webhook-endpoints/{endpoint_id}"): Row(ONE, READ),
    ("patch", "/v1/webhook-endpoints/{endpoint_id}"): Row(ONE, MANAGE, {"description": "x"}),
    ("delete", "/v1/webhook-endpoints/{endpoint_id}"): Row(ONE, MANAGE),
    ("post", "/v1/webhook-endpoints/{endpoint_id}/rotate-secret"): Row(ONE, MANAGE, {}),
    ("post", "/v1/webhook-endpoints/{endpoint_id}/test"): Row(ONE, MANAGE),
    ("get", "/v1/webhook-deliveries"): Row(LIST, READ),
    ("get", "/v1/webhook-deliveries/{delivery_id}"): Row(ONE, READ),
    ("post", "/v1/webhook-deliveries/{delivery_id}/resend"): Row(ONE, MANAGE),
    ("get", "/v1/budgets"): Row(BY_ROLE, ADMIN),
    ("post", "/v1/budgets"): Row(
        ALL, OPERATOR, {"account": "default", "period": "month", "limit_usd": "1000000"}
    ),
    ("get", "/v1/plans"): Row(ALL, OPERATOR),
    ("post", "/v1/plans"): Row(ALL, OPERATOR, {"name": "whose"}),
    ("put", "/v1/accounts/{name}/plan"): Row(ALL, OPERATOR, {"plan": None}),
    ("delete", "/v1/budgets/{budget_id}"): Row(ALL, OPERATOR),
    ("get", "/v1/accounts"): Row(ALL, OPERATOR),
    ("post", "/v1/accounts"): Row(ALL, OPERATOR, {"name": "made by the walk"}),
    ("patch", "/v1/accounts/{name}"): Row(ALL, OPERATOR, {"weight": 1}),
    ("get", "/v1/keys"): Row(BY_ROLE, ADMIN),
    ("post", "/v1/keys"): Row(BY_ROLE, ADMIN, {}),
    ("delete", "/v1/keys/{key_id}"): Row(KEY, ADMIN),
    ("post", "/v1/keys/{key_id}/rotate"): Row(KEY, ADMIN, {}),
    ("post", "/v1/keys/{key_id}/demote"): Row(ALL, OPERATOR),
    ("get", "/v1/people"): Row(BY_ROLE, ADMIN),
    ("post", "/v1/people/{person_id}/sign-out"): Row(KEY, ADMIN),
    ("get", "/v1/webhook-secret"): Row(OWN, ADMIN),
    ("post", "/v1/webhook-secret/rotate"): Row(OWN, ADMIN, {}),
    ("get", "/v1/audit"): Row(BY_ROLE, ADMIN),
    ("get", "/healthz"): Row(Whose.PUBLIC),
    ("get", "/readyz"): Row(Whose.PUBLIC),
    ("get", "/metrics"): Row(Whose.PUBLIC),
}
LOCKED = [route for route, row in ROWS.items() if row.whose is not Whose.PUBLIC]
NAMES = {route: f"{route[0].upper()} {route[1]}" for route in ROWS}
