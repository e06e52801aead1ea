"""Which answer leads to which request: the links of the OpenAPI document.

A link names an operation and the parameters that the answer provides for it, so that tools and
clients know the next step.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Operation = tuple[str, str]  # method and path

_ID = "$response.body#/id"

JOB = (
    *(("get", "/v1/jobs/{job_id}"), ("get", "/v1/jobs/{job_id}/attempts")),
    ("get", "/v1/jobs/{job_id}/events"),
    *(("get", "/v1/jobs/{job_id}/decisions"), ("post", "/v1/jobs/{job_id}/cancel")),
    *(("post", "/v1/jobs/{job_id}/retry"), ("post", "/v1/jobs/{job_id}/feedback")),
    ("delete", "/v1/jobs/{job_id}/content"),
)
BATCH = (
    *(("get", "/v1/batches/{batch_id}"), ("get", "/v1/batches/{batch_id}/parts")),
    *(("put", "/v1/batches/{batch_id}/parts/{number}"), ("post", "/v1/batches/{batch_id}/seal")),
    *(("get", "/v1/batches/{batch_id}/output"), ("get", "/v1/batches/{batch_id}/errors")),
    *(("post", "/v1/batches/{batch_id}/cancel"), ("delete", "/v1/batches/{batch_id}/content")),
)
ENDPOINT = (
    *(("get", "/v1/webhook-endpoints/{endpoint_id}"),),
    *(("patch", "/v1/webhook-endpoints/{endpoint_id}"),),
    *(("post", "/v1/webhook-endpoints/{endpoint_id}/test"),),
    *(("post", "/v1/webhook-endpoints/{endpoint_id}/rotate-secret"),),
    *(("delete", "/v1/webhook-endpoints/{endpoint_id}"),),
)
DELIVERY = (
    *(("get", "/v1/webhook-deliveries/{delivery_id}"),),
    *(("post", "/v1/webhook-deliveries/{delivery_id}/resend"),),
)
FEATURE = (
    *(("get", "/v1/features/{name}"), ("get", "/v1/features/{name}/report")),
    *(("get", "/v1/features/{name}/outcomes"), ("get", "/v1/features/{name}/calibrations")),
)

# (source operation, its statuses, place in the body) → (parameter, operations that take it)
_LINKS: tuple[tuple[Operation, tuple[str, ...], str, str, tuple[Operation, ...]], ...] = (
    (("post", "/v1/jobs"), ("200", "202"), _ID, "job_id", JOB),
    (("post", "/v1/jobs/{job_id}/retry"), ("202",), _ID, "job_id", JOB),
    (("post", "/v1/drafts/{draft_id}/jobs"), ("200", "202"), _ID, "job_id", JOB),
    (("post", "/v1/batches"), ("200", "201"), _ID, "batch_id", BATCH),
    (
        ("post", "/v1/drafts"),
        ("201",),
        _ID,
        "draft_id",
        (("post", "/v1/drafts/{draft_id}/jobs"),),
    ),
    (("post", "/v1/features"), ("200", "201"), "$response.body#/name", "name", FEATURE),
    (("post", "/v1/webhook-endpoints"), ("201",), _ID, "endpoint_id", ENDPOINT),
    (
        ("post", "/v1/webhook-endpoints/{endpoint_id}/test"),
        ("202",),
        _ID,
        "delivery_id",
        DELIVERY,
    ),
    (
        ("post", "/v1/keys"),
        ("201",),
        _ID,
        "key_id",
        (
            ("post", "/v1/keys/{key_id}/rotate"),
            ("post", "/v1/keys/{key_id}/demote"),
            ("delete", "/v1/keys/{key_id}"),
        ),
    ),
    (
        ("post", "/v1/accounts"),
        ("201",),
        "$response.body#/name",
        "name",
        (("patch", "/v1/accounts/{name}"),),
    ),
)


def add_links(document: dict[str, Any]) -> None:
    """Add the links to a document with all its paths. Raises KeyError for an unknown operation."""
    paths = document["paths"]
    for (method, path), statuses, where, parameter, takers in _LINKS:
        links = dict(_links(paths, where, parameter, takers))
        for status in statuses:
            paths[path][method]["responses"][status]["links"] = links


def _links(
    paths: Mapping[str, Any], where: str, parameter: str, takers: tuple[Operation, ...]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for method, path in takers:
        operation = paths[path][method]
        yield (
            operation["operationId"].partition("_v1_")[0],
            {
                "operationId": operation["operationId"],
                "parameters": {parameter: where},
                "description": operation["summary"],
            },
        )
