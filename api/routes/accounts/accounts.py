"""/v1/accounts, /v1/keys and /v1/webhook-secret: accounts and their keys.

Operators manage accounts and all keys. An account's administrator manages the keys of its own
account, except operators' keys.
"""

from datetime import UTC
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from api.access.auth import Admin, Operator, needs
from api.document.openapi import STORABLE, returns, takes
from api.http.bodies import Time, Whole, answer, read_json, read_model
from api.http.problems import documented
from api.parameters.numbers import ASCII_DIGITS
from api.state import Database, Shared
from tierline.rules.limits import LIMITS
from tierline.rules.roles import SCOPES, Scope
from tierline.services.accounts import accounts as services
from tierline.services.accounts import read_accounts
from tierline.services.accounts.accounts import MAX_LIMIT, MAX_OVERLAP_HOURS, MAX_WEIGHT
from tierline.views.accounts.accounts import (
    Account,
    AccountList,
    Key,
    KeyList,
    NewKey,
    WebhookSecret,
)

router = APIRouter(tags=["accounts"])

KeyId = Annotated[int, Path(ge=1, le=2**63 - 1), ASCII_DIGITS]
Force = Annotated[bool, Query(description="even if it is the last operator's key")]

SECRET = {"Cache-Control": "no-store"}  # for answers with a key or a secret


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


# The bounds come before the validator that Whole brings. After it, OpenAPI would omit them.
Most = Annotated[int, Field(ge=1, le=MAX_LIMIT), *get_args(Whole)[1:]]


def _limit(what: str) -> Any:
    return Field(default=None, description=f"{what}; null: the setting's")


class AccountChange(_Body):
    """The changes of an account. Fields that are not given stay as they are."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    weight: Whole = Field(default=1, ge=1, le=MAX_WEIGHT, description="its share of a queue")
    max_queued_jobs: Most | None = _limit("waiting jobs, in all queues")
    max_jobs_in_progress: Most | None = _limit("running jobs, in all queues")
    max_requests_per_s: Most | None = _limit("requests to each API process")
    max_body_bytes_per_s: Most | None = _limit("bytes of bodies to each API process")


class NewAccount(AccountChange):
    """An account to create."""

    name: str = Field(
        min_length=1, max_length=63, json_schema_extra={"pattern": f"^{services.NAME.pattern}$"}
    )


class KeyRequest(_Body):
    """A key to create."""

    account: str | None = Field(default=None, description="default: the caller's own")
    name: str = Field(default="", max_length=255, description="the purpose of the key")
    scopes: list[Scope] = Field(
        default=["submit", "read"],
        min_length=1,
        max_length=len(SCOPES),
        description="operator: only by an operator's key; the answer then has admin too",
    )
    expires_at: Time | None = None


class Rotation(_Body):
    """How to rotate a key or a signing secret."""

    overlap_hours: float = Field(
        default=24.0,
        ge=0,
        le=MAX_OVERLAP_HOURS,
        strict=True,
        description="how long the old one stays valid too",
    )


@router.get(
    "/v1/accounts",
    summary="List accounts",
    responses={200: returns("All accounts", AccountList), **documented(401, 403, 503)},
)
def list_accounts(_: Operator, connection: Database) -> Response:
    """Lists the accounts, the oldest first."""
    return answer(AccountList.of(read_accounts.list_accounts(connection)))


@router.post(
    "/v1/accounts",
    status_code=201,
    summary="Create an account",
    responses={
        201: returns("Made", Account),
        **documented(400, 401, 403, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(NewAccount, {"name": "billing", "weight": 2}),
)
async def post_account(request: Request, _: Operator, state: Shared) -> Response:
    """Creates an account. It sees only its own jobs."""
    body = read_model(NewAccount, await read_json(request, state.settings.max_json_depth))
    row = await run_in_threadpool(
        state.with_connection,
        services.create_account,
        body.name,
        body.weight,
        body.model_dump(include=body.model_fields_set & set(LIMITS)),
    )
    return answer(Account.model_validate(row), 201)


@router.patch(
    "/v1/accounts/{name}",
    summary="Change an account",
    responses={
        200: returns("The changed account", Account),
        **documented(400, 401, 403, 404, 413, 415, 422, 503),
    },
    openapi_extra=takes(AccountChange, {"weight": 3, "max_queued_jobs": 5_000}),
)
async def patch_account(
    request: Request, name: Annotated[str, Path(max_length=63)], _: Operator, state: Shared
) -> Response:
    """Changes an account. Weight and jobs in progress apply from the next choice of jobs on, the
    rest within a second."""
    body = read_model(AccountChange, await read_json(request, state.settings.max_json_depth))
    changes = body.model_dump(exclude_unset=True)
    row = await run_in_threadpool(state.with_connection, services.change_account, name, changes)
    state.keys.forget()
    return answer(Account.model_validate(row))


@router.get(
    "/v1/keys",
    summary="List keys",
    responses={
        200: returns("The newest first, including revoked keys", KeyList),
        **documented(401, 403, 422, 503),
    },
)
def list_keys(
    caller: Admin,
    connection: Database,
    account: Annotated[
        str | None, Query(max_length=63, pattern=STORABLE, description="only its")
    ] = None,
) -> Response:
    """Lists the account's keys, including operators' keys; an operator gets those of every account.
    Only their first characters are shown: no key can be read again.
    """
    if not caller.may("operator"):
        if account not in (None, caller.account):
            raise needs(caller, "operator", "another account's keys")
        account = caller.account
    return answer(KeyList.of(read_accounts.list_keys(connection, account)))


@router.post(
    "/v1/keys",
    status_code=201,
    summary="Create a key",
    responses={
        201: returns("Created; the key is shown only this once", NewKey),
        **documented(400, 401, 403, 404, 413, 415, 422, 503),
    },
    openapi_extra=takes(KeyRequest, {"account": "billing", "scopes": ["submit", "read"]}),
)
async def post_key(request: Request, caller: Admin, state: Shared) -> Response:
    """Creates a key of the caller's own account. An operator's key can create keys of any account,
    and operators' keys.

    Only the key's hash is stored.
    """
    body = read_model(KeyRequest, await read_json(request, state.settings.max_json_depth))
    expires_at = body.expires_at
    if expires_at is not None and expires_at.tzinfo is None:
        expires_at = expires_at.replace(tzinfo=UTC)

    def make() -> services.MadeKey:
        with state.cold_pool.connection() as connection:
            owner = body.account or caller.account
            return services.create_key(
                connection,
                owner,
                body.scopes,
                body.name,
                expires_at,
                within=caller.confined_to,
            )

    key = await run_in_threadpool(make)
    return answer(NewKey.model_validate({**key.row, "key": key.key}), 201, SECRET)


@router.delete(
    "/v1/keys/{key_id}",
    summary="Revoke a key",
    responses={
        200: returns("It ends within a second everywhere", Key),
        **documented(401, 403, 404, 409, 422, 503),
    },
)
def delete_key(
    key_id: KeyId, caller: Admin, connection: Database, state: Shared, force: Force = False
) -> Response:
    """Jobs that the key submitted continue. 409 for the last operator's key."""
    row = services.revoke_key(connection, key_id, within=caller.confined_to, force=force)
    state.keys.forget()
    return answer(Key.model_validate(row))


@router.post(
    "/v1/keys/{key_id}/demote",
    summary="Turn an operator's key into an administrator's key",
    responses={
        200: returns("The key, changed everywhere within a second", Key),
        **documented(401, 403, 404, 409, 422, 503),
    },
)
def demote_key(
    key_id: KeyId, _: Operator, connection: Database, state: Shared, force: Force = False
) -> Response:
    """The key then administers its own account only. A key that is not an operator's does not
    change; 409 for the last operator's key.
    """
    row = services.demote_key(connection, key_id, force=force)
    state.keys.forget()
    return answer(Key.model_validate(row))


@router.post(
    "/v1/keys/{key_id}/rotate",
    status_code=201,
    summary="Replace a key by a new one",
    responses={
        201: returns("Created; the key is shown only this once", NewKey),
        **documented(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=takes(Rotation, {"overlap_hours": 24}),
)
async def rotate_key(
    request: Request,
    key_id: KeyId,
    caller: Admin,
    state: Shared,
) -> Response:
    """The new key has the old key's account, name, scopes and lifetime. The old key ends after the
    overlap."""
    body = read_model(Rotation, await read_json(request, state.settings.max_json_depth))
    key = await run_in_threadpool(
        state.with_connection,
        services.rotate_key,
        key_id,
        body.overlap_hours,
        within=caller.confined_to,
    )
    state.keys.forget()
    return answer(NewKey.model_validate({**key.row, "key": key.key}), 201, SECRET)


@router.get(
    "/v1/webhook-secret",
    tags=["webhooks"],
    summary="Read the secret that signs the account's webhooks",
    responses={
        200: returns("For jobs' own webhook_url", WebhookSecret),
        **documented(401, 403, 503),
    },
)
def get_webhook_secret(caller: Admin, connection: Database) -> Response:
    """This secret is for jobs' own webhook_url. Registered endpoints have their own secrets."""
    row = read_accounts.webhook_secret(connection, caller.account_id)
    return answer(WebhookSecret.model_validate(row), 200, SECRET)


@router.post(
    "/v1/webhook-secret/rotate",
    tags=["webhooks"],
    summary="Change the secret that signs the account's webhooks",
    responses={
        200: returns("The new secret", WebhookSecret),
        **documented(400, 401, 403, 413, 415, 422, 503),
    },
    openapi_extra=takes(Rotation, {"overlap_hours": 24}),
)
async def rotate_webhook_secret(request: Request, caller: Admin, state: Shared) -> Response:
    """During the overlap each webhook is signed with both secrets, so that receivers can switch."""
    body = read_model(Rotation, await read_json(request, state.settings.max_json_depth))
    row = await run_in_threadpool(
        state.with_connection,
        services.rotate_webhook_secret,
        caller.account_id,
        body.overlap_hours,
    )
    return answer(WebhookSecret.model_validate(row), 200, SECRET)
