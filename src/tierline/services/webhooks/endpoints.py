"""Webhook endpoints: adding, changing and removing them, and sending a delivery again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg import Connection

from tierline.base.errors import Conflict, InvalidInput, NotFound, Problem
from tierline.base.ids import new_id
from tierline.services.accounts.accounts import MAX_OVERLAP_HOURS
from tierline.storage.webhooks import deliveries, delivery_reads, endpoints
from tierline.storage.webhooks.deliveries import NewDelivery
from tierline.storage.webhooks.delivery_reads import Deliveries
from tierline.views.webhooks.deliveries import DeliveryRow
from tierline.views.webhooks.endpoints import Endpoint
from tierline.webhooks.addresses import (
    NOTHING_MORE,
    OTHER_PORTS_END,
    Reach,
    check_url,
    other_port,
)
from tierline.webhooks.events import EVENTS, INCLUDES, TEST, test_body
from tierline.webhooks.openai_form import FORMATS, OPENAI, openai_body
from tierline.webhooks.shares import DEFAULT_IN_FLIGHT, MOST_IN_FLIGHT
from tierline.webhooks.sign import new_secret

__all__ = [
    "DeliveryRow",
    "Endpoint",
    "add_endpoint",
    "change_endpoint",
    "get_delivery",
    "get_endpoint",
    "list_deliveries",
    "list_endpoints",
    "port_warning",
    "remove_endpoint",
    "rotate_secret",
    "send_again",
    "send_test",
]

MOST_ENDPOINTS = 20  # per account, because each event is written once per endpoint
MOST_DESCRIPTION = 500  # characters
MOST_EXAMINED = 50_000  # deliveries, for one page of a list
OVERLAP_HOURS = 24.0  # how long a former secret signs too, by default


def add_endpoint(
    connection: Connection[Any],
    account_id: int,
    *,
    url: str,
    description: str = "",
    events: Sequence[str] = (),
    include: Sequence[str] = (),
    max_in_flight: int = DEFAULT_IN_FLIGHT,
    batch_rows: bool = False,
    format: str = FORMATS[0],
    most_in_flight: int = MOST_IN_FLIGHT,
    reach: Reach = NOTHING_MORE,
) -> tuple[Endpoint, str]:
    """Add an endpoint. Returns it with its secret, which is shown only this once.

    `most_in_flight` is the installation's limit per endpoint. Raises InvalidInput naming each
    invalid field, Conflict if the account has too many endpoints.
    """
    _refuse(
        _url_problems(url, reach)
        + _problems(description, events, include)
        + _format_problems(format)
        + _in_flight_problems(max_in_flight, most_in_flight)
    )
    secret = new_secret()
    with connection.transaction():
        if endpoints.count_for_adding(connection, account_id) >= MOST_ENDPOINTS:
            raise Conflict(f"an account has at most {MOST_ENDPOINTS} webhook endpoints")
        made = endpoints.add(
            connection,
            account_id,
            new_id(),
            url=url,
            description=description,
            events=events,
            include=include,
            max_in_flight=max_in_flight,
            batch_rows=batch_rows,
            format=format,
            secret=secret,
        )
    return made, secret


def list_endpoints(
    connection: Connection[Any], account_id: int, limit: int, before: int | None = None
) -> list[Endpoint]:
    """An account's endpoints with `seq` below `before`, the newest first."""
    return endpoints.page(connection, account_id, limit, before)


def list_deliveries(
    connection: Connection[Any],
    account_id: int,
    *,
    limit: int,
    before: int | None = None,
    endpoint_id: UUID | None = None,
    status: str | None = None,
    job_id: UUID | None = None,
) -> Deliveries:
    """An account's deliveries with `seq` below `before`, the newest first. With an endpoint or a
    status, MOST_EXAMINED deliveries are examined, so a page may have fewer although older ones
    match.
    """
    return delivery_reads.page(
        connection,
        account_id,
        limit=limit,
        most=MOST_EXAMINED,
        before=before,
        endpoint_id=endpoint_id,
        status=status,
        job_id=job_id,
    )


def get_endpoint(connection: Connection[Any], account_id: int, endpoint_id: UUID) -> Endpoint:
    """One endpoint. Raises NotFound."""
    return _require_endpoint(endpoints.get(connection, account_id, endpoint_id), endpoint_id)


def change_endpoint(
    connection: Connection[Any],
    account_id: int,
    endpoint_id: UUID,
    *,
    url: str | None = None,
    description: str | None = None,
    events: Sequence[str] | None = None,
    include: Sequence[str] | None = None,
    max_in_flight: int | None = None,
    batch_rows: bool | None = None,
    format: str | None = None,
    disabled: bool | None = None,
    most_in_flight: int = MOST_IN_FLIGHT,
    reach: Reach = NOTHING_MORE,
) -> Endpoint:
    """Change the given fields. Waiting deliveries go to the new URL; disabling fails them.

    Raises NotFound, InvalidInput.
    """
    with connection.transaction():
        before = _locked(connection, account_id, endpoint_id)
        changed = replace(
            before,
            url=before.url if url is None else url,
            description=before.description if description is None else description,
            events=before.events if events is None else list(events),
            include=before.include if include is None else list(include),
            max_in_flight=before.max_in_flight if max_in_flight is None else max_in_flight,
            batch_rows=before.batch_rows if batch_rows is None else batch_rows,
            any_port=before.any_port and url is None,
            format=before.format if format is None else format,
        )
        _refuse(
            ([] if url is None else _url_problems(url, reach))
            + _problems(changed.description, changed.events, changed.include)
            + _format_problems(changed.format)
            + ([] if max_in_flight is None else _in_flight_problems(max_in_flight, most_in_flight))
        )
        off = before.disabled_at is not None if disabled is None else disabled
        written = endpoints.write(connection, changed, disabled=off)
        if off:
            deliveries.give_up_waiting(
                connection, account_id, endpoint_id, "its endpoint was disabled"
            )
    return written


def remove_endpoint(connection: Connection[Any], account_id: int, endpoint_id: UUID) -> None:
    """Delete an endpoint. Its waiting deliveries fail and stay listed. Raises NotFound."""
    with connection.transaction():
        _locked(connection, account_id, endpoint_id)
        deliveries.give_up_waiting(connection, account_id, endpoint_id, "its endpoint was deleted")
        endpoints.remove(connection, endpoint_id)


def rotate_secret(
    connection: Connection[Any],
    account_id: int,
    endpoint_id: UUID,
    overlap_hours: float = OVERLAP_HOURS,
) -> tuple[Endpoint, str]:
    """Create a secret, shown only this once. The former one signs too for `overlap_hours`.

    Raises NotFound, InvalidInput.
    """
    if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
        raise InvalidInput([Problem(f"from 0 to {MAX_OVERLAP_HOURS}", "/overlap_hours")])
    secret = new_secret()
    with connection.transaction():
        _locked(connection, account_id, endpoint_id)
        overlap_s = overlap_hours * 3600
        return endpoints.rotate_secret(connection, endpoint_id, secret, overlap_s), secret


def send_test(connection: Connection[Any], account_id: int, endpoint_id: UUID) -> DeliveryRow:
    """Send a test event to an endpoint. Raises NotFound, and Conflict if it is disabled."""
    delivery_id, at = new_id(), datetime.now(UTC)
    with connection.transaction():
        endpoint = _locked(connection, account_id, endpoint_id)
        body = test_body(at, endpoint_id)
        if endpoint.format == OPENAI:
            body = openai_body(body, delivery_id, int(at.timestamp()))
        if endpoint.disabled_at is not None:
            raise Conflict("the endpoint is disabled")
        test = NewDelivery(
            id=delivery_id,
            account_id=account_id,
            endpoint_id=endpoint_id,
            url=endpoint.url,
            target=deliveries.endpoint_target(endpoint_id),
            job_id=None,
            batch_id=None,
            event=TEST,
            body=body,
        )
        deliveries.insert(connection, [test])
        return get_delivery(connection, account_id, delivery_id)


def get_delivery(connection: Connection[Any], account_id: int, delivery_id: UUID) -> DeliveryRow:
    """One delivery. Raises NotFound."""
    return _require_delivery(delivery_reads.row(connection, account_id, delivery_id), delivery_id)


def send_again(connection: Connection[Any], account_id: int, delivery_id: UUID) -> DeliveryRow:
    """Make a delivery due at once, with the same webhook-id and bytes.

    This also ends its wait for the next try. Raises NotFound, and Conflict while it is being tried,
    if its endpoint is disabled or deleted, and if its body was removed with its job's output.
    """
    with connection.transaction():
        seen = get_delivery(connection, account_id, delivery_id)
        if seen.endpoint_id is not None:
            endpoint = endpoints.get(connection, account_id, seen.endpoint_id, lock=True)
            if endpoint is None or endpoint.disabled_at is not None:
                raise Conflict("its endpoint was disabled or deleted")
        delivery = _require_delivery(
            delivery_reads.row(connection, account_id, delivery_id, lock=True), delivery_id
        )
        if delivery.in_flight:
            raise Conflict("the delivery is being tried now")
        if delivery.body_removed:
            raise Conflict("its body was removed with the output of its job")
        deliveries.make_due(connection, delivery_id)
        return get_delivery(connection, account_id, delivery_id)


def port_warning(endpoint: Endpoint, reach: Reach) -> str | None:
    """A warning about the endpoint's port for its owner, or None."""
    port = other_port(endpoint.url, reach) if endpoint.any_port else None
    if port is None:
        return None
    return (
        f"port {port} was registered before ports were limited: from {OTHER_PORTS_END} on it is not"
        " called. Use port 80 or 443, or have the operator list it in TIERLINE_WEBHOOK_PORTS"
    )


def _problems(description: str, events: Sequence[str], include: Sequence[str]) -> list[Problem]:
    problems: list[Problem] = []
    if len(description) > MOST_DESCRIPTION or "\x00" in description:
        problems.append(
            Problem(f"at most {MOST_DESCRIPTION} characters, none of them NUL", "/description")
        )
    for name, given, allowed in (("events", events, EVENTS), ("include", include, INCLUDES)):
        problems.extend(
            Problem(f"not one of {', '.join(allowed)}", f"/{name}/{place}")
            for place, value in enumerate(given)
            if value not in allowed
        )
        if len(set(given)) != len(given):
            problems.append(Problem("contains a value twice", f"/{name}"))
    return problems


def _url_problems(url: str, reach: Reach) -> list[Problem]:
    try:
        check_url(url, reach, "/url")
    except InvalidInput as refused:
        return list(refused.problems)
    return []


def _format_problems(format: str) -> list[Problem]:
    if format in FORMATS:
        return []
    return [Problem(f"not one of {', '.join(FORMATS)}", "/format")]


def _in_flight_problems(value: int, most: int) -> list[Problem]:
    if 1 <= value <= most:
        return []
    return [
        Problem(
            f"from 1 to {most} (TIERLINE_WEBHOOK_MAX_IN_FLIGHT, the operator's)", "/max_in_flight"
        )
    ]


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise InvalidInput(problems)


def _locked(connection: Connection[Any], account_id: int, endpoint_id: UUID) -> Endpoint:
    return _require_endpoint(
        endpoints.get(connection, account_id, endpoint_id, lock=True), endpoint_id
    )


def _require_endpoint(endpoint: Endpoint | None, endpoint_id: UUID) -> Endpoint:
    if endpoint is None:
        raise NotFound(f"there is no webhook endpoint {endpoint_id}")
    return endpoint


def _require_delivery(row: DeliveryRow | None, delivery_id: UUID) -> DeliveryRow:
    if row is None:
        raise NotFound(f"there is no webhook delivery {delivery_id}")
    return row
