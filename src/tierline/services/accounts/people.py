"""Sessions of people who sign in by OpenID Connect: who may have one, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from tierline.base.json_text import JSON
from tierline.openid.access import access_of, name_of
from tierline.openid.attempt import LIFETIME_S, Attempt
from tierline.openid.provider import OpenIdConfig
from tierline.openid.refusals import SignInRefused
from tierline.services.accounts import audit
from tierline.services.accounts.accounts import digest_of
from tierline.services.accounts.sessions import new_token
from tierline.storage.accounts import people, sessions
from tierline.storage.accounts.audit import Entry, add_async
from tierline.storage.db.async_pool import again

Pool = AsyncConnectionPool[Any]
log = structlog.get_logger(__name__)

NOBODY = 0  # the account and key of an audit entry about a person who is not known


@dataclass(frozen=True)
class NewSession:
    """A session that a person began. The token is for the browser alone."""

    token: str
    person_id: int
    account: str


async def begin_persons_session(
    pool: Pool, config: OpenIdConfig, attempt: Attempt, claims: Mapping[str, JSON]
) -> NewSession:
    """Begin a session for the person of these verified claims, and log it.

    Raises SignInRefused if the claims give no access, or the attempt was completed before. A person
    without access loses their earlier sessions too.
    """
    issuer, subject = config.issuer, str(claims["sub"])
    try:
        access = access_of(claims, config.rules)
        async with pool.connection() as connection, connection.transaction():
            account_id = await _account(connection, access.account)
            if not await people.note_completed(connection, attempt.digest, 2 * LIFETIME_S):
                raise SignInRefused(
                    "sign_in_repeated", "This sign-in was completed before. Sign in again."
                )
            person = people.Person(issuer, subject, name_of(claims), account_id, access.scopes)
            person_id = await people.keep_person(connection, person)
            token = new_token()
            await sessions.add_session(connection, digest_of(token), person_id, config.session_s)
            # The person's row changes with later sign-ins, an entry does not.
            detail: dict[str, str | int] = {"name": person.name, "subject": subject}
            entry = Entry(account_id, person_id, audit.SIGNED_IN, None, detail)
            await add_async(connection, entry)
    except SignInRefused as error:
        if error.status == HTTPStatus.FORBIDDEN:
            await _end_sessions(pool, issuer, subject, error)
        raise
    log.info("console_signed_in", account=access.account, person_id=person_id)
    return NewSession(token, person_id, access.account)


async def log_refusal(pool: Pool, error: SignInRefused) -> None:
    """Add an entry of a refused sign-in of a person who is not known."""
    await audit.log_entry(pool, _refusal(error, NOBODY, NOBODY))


async def _account(connection: AsyncConnection[Any], name: str) -> int:
    account_id = await people.account_id(connection, name)
    if account_id is None:
        raise SignInRefused(
            "account_unknown",
            f"Your claims give the account '{name}', which does not exist here. Ask an operator of"
            " this installation to create it.",
            HTTPStatus.FORBIDDEN,
        )
    return account_id


async def _end_sessions(pool: Pool, issuer: str, subject: str, error: SignInRefused) -> None:
    known = await again(pool, lambda c: people.end_sessions(c, issuer, subject))
    person_id, account_id = (NOBODY, NOBODY) if known is None else known
    await audit.log_entry(pool, _refusal(error, account_id, person_id))


def _refusal(error: SignInRefused, account_id: int, person_id: int) -> Entry:
    detail: dict[str, str | int] = {"reason": error.reason}
    if error.claim is not None:
        detail["claim"] = error.claim
    return Entry(account_id, person_id, audit.SIGN_IN_REFUSED, None, detail)
