"""API keys, people who signed in by OpenID Connect, and for an operator the accounts."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api.console.actions import Detail, act, log_action
from api.console.pages import ConsoleRoute, page, see_other
from api.console.session import CONSOLE, Administrator, OperatorHere, Posted
from api.console.views.keys import shown_key
from api.http.problems import Refused
from api.state import Database, Shared
from tierline.base.errors import InvalidInput, Problem
from tierline.base.ids import database_now
from tierline.rules.limits import LIMITS
from tierline.rules.roles import SCOPES
from tierline.services.accounts import accounts as services
from tierline.services.accounts import audit, read_accounts, signed_in_people
from tierline.views.accounts.accounts import Account

PATH = f"{CONSOLE}/keys"
router = APIRouter(prefix=PATH, include_in_schema=False, route_class=ConsoleRoute)

OVERLAP_HOURS = 24.0
MOST_NAME = 255
MOST_DAYS = 3_650
MOST_SHOWN = 100  # accounts, keys and people; the API lists all of them
_WHOLE = re.compile(r"[0-9]{1,10}")


@router.get("")
def get_keys(request: Request, caller: Administrator, connection: Database) -> Response:
    """The keys and people of the caller's account; for an operator of all accounts, and the
    accounts."""
    operator = caller.may("operator")
    keys = read_accounts.list_keys(connection, None if operator else caller.account)
    now = database_now()
    return page(
        request,
        "keys.html",
        keys=[shown_key(key, now, own=key["id"] == caller.key_id) for key in keys],
        accounts=[Account.model_validate(row) for row in read_accounts.list_accounts(connection)]
        if operator
        else [],
        people=signed_in_people.list_people(connection, caller.confined_to, None, MOST_SHOWN + 1),
        scopes=[scope for scope in SCOPES if operator or scope != "operator"],
        limits=LIMITS,
        operator=operator,
        now=now,
        most_shown=MOST_SHOWN,
    )


@router.post("")
async def create_key(
    request: Request, caller: Administrator, form: Posted, state: Shared
) -> Response:
    """Create a key. It is on the page that answers, and never again."""
    account = form.get("account", "") or caller.account
    scopes = [scope for scope in SCOPES if form.get(f"scope:{scope}")]
    name, days = form.get("name", "").strip(), _whole(form, "days", MOST_DAYS)
    if len(name) > MOST_NAME or "\x00" in name:
        raise InvalidInput([Problem(f"has at most {MOST_NAME} characters", "/name")])
    ends = None if days is None else datetime.now(UTC) + timedelta(days=days)
    key = await run_in_threadpool(
        lambda: state.with_connection(
            services.create_key, account, scopes, name, ends, within=caller.confined_to
        )
    )
    detail: Detail = {
        "key": key.row["id"],
        "account": key.row["account"],
        "scopes": " ".join(scopes),
    }
    await log_action(state, caller, audit.KEY_CREATED, detail)
    return _new_key(request, key)


@router.post("/{key_id}/rotate")
async def rotate_key(
    request: Request, key_id: str, caller: Administrator, _: Posted, state: Shared
) -> Response:
    """Replace a key. The old one works for another day."""
    id = _id(key_id)
    key = await act(
        state,
        caller,
        audit.KEY_ROTATED,
        {"key": id},
        services.rotate_key,
        id,
        OVERLAP_HOURS,
        within=caller.confined_to,
    )
    state.keys.forget()
    return _new_key(request, key)


@router.post("/{key_id}/revoke")
async def revoke_key(key_id: str, caller: Administrator, _: Posted, state: Shared) -> Response:
    """End a key. The last operator's key cannot be revoked here."""
    id = _id(key_id)
    await act(
        state,
        caller,
        audit.KEY_REVOKED,
        {"key": id},
        services.revoke_key,
        id,
        within=caller.confined_to,
    )
    state.keys.forget()
    return see_other(PATH)


@router.post("/people/{person_id}/sign-out")
async def sign_out_person(
    person_id: str, caller: Administrator, _: Posted, state: Shared
) -> Response:
    """End all sessions of a person. The service logs it."""
    id = _id(person_id, "person")
    await run_in_threadpool(
        lambda: state.with_connection(
            signed_in_people.sign_out_person,
            caller.account_id,
            caller.key_id,
            id,
            within=caller.confined_to,
        )
    )
    state.keys.forget()
    return see_other(PATH)


@router.post("/accounts")
async def create_account(caller: OperatorHere, form: Posted, state: Shared) -> Response:
    """Create an account."""
    name = form.get("name", "").strip()
    weight = _whole(form, "weight", services.MAX_WEIGHT) or 1
    await act(
        state,
        caller,
        audit.ACCOUNT_CREATED,
        {"name": name[:63]},
        services.create_account,
        name,
        weight,
    )
    return see_other(PATH)


@router.post("/accounts/change")
async def change_account(caller: OperatorHere, form: Posted, state: Shared) -> Response:
    """Change an account's weight and limits. An empty limit is the setting's."""
    name = form.get("name", "")
    changes: dict[str, int | None] = {
        limit: _whole(form, limit, services.MAX_LIMIT) for limit in LIMITS if limit in form
    }
    weight = _whole(form, "weight", services.MAX_WEIGHT)
    if weight is not None:
        changes["weight"] = weight
    await act(
        state,
        caller,
        audit.ACCOUNT_CHANGED,
        {"name": name[:63]},
        services.change_account,
        name,
        changes,
    )
    state.keys.forget()
    return see_other(PATH)


def _new_key(request: Request, key: services.MadeKey) -> Response:
    return page(
        request,
        "secret.html",
        title=f"Key {key.row['id']}",
        secret=key.key,
        help="Only its digest is stored. Send it as Authorization: Bearer, or set"
        " TIERLINE_API_KEY.",
        back=PATH,
        back_name="To the keys",
    )


def _whole(form: Mapping[str, str], name: str, most: int) -> int | None:
    """A number of the form; None: the field is empty."""
    text = form.get(name, "").strip()
    if not text:
        return None
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= most:
        raise InvalidInput([Problem(f"is a whole number from 1 to {most:,}", f"/{name}")])
    return int(text)


def _id(text: str, kind: str = "key") -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise Refused("not-found", f"there is no such {kind}")
    return int(text)
