"""People who signed in to the console by OpenID Connect: listing them, and signing them out."""

from typing import Any

from psycopg import Connection

from tierline.base.errors import Forbidden, NotFound
from tierline.rules.roles import OPERATOR
from tierline.services.accounts import audit
from tierline.storage.accounts import people
from tierline.storage.accounts.audit import Entry, add
from tierline.storage.accounts.people import ListedPerson


def list_people(
    connection: Connection[Any], within: int | None, before: int | None, limit: int
) -> list[ListedPerson]:
    """People with a number below `before`, the newest first. `within`: only those of that account;
    None: of every account.
    """
    return people.list_people(connection, within, before, limit)


def sign_out_person(
    connection: Connection[Any],
    account_id: int,
    key_id: int,
    person_id: int,
    *,
    within: int | None = None,
) -> int:
    """End all sessions of a person, and log that this key did it. Returns how many there were.
    The person may sign in again, unless the identity provider refuses it. Safe to repeat.

    `within`: the account that the caller is limited to. Raises NotFound, and Forbidden if an
    administrator signs out an operator.
    """
    with connection.transaction():
        people.lock_person(connection, person_id)
        person = people.person_by_id(connection, person_id)
        if person is None or within not in (None, person.account_id):
            raise NotFound(f"there is no person {person_id}")
        if within is not None and OPERATOR in person.scopes:
            raise Forbidden(f"person {person_id} is an operator: only an operator signs them out")
        ended = people.end_sessions_of(connection, person_id)
        detail: dict[str, str | int] = {
            "person": person_id,
            "account": person.account,
            "sessions": ended,
        }
        add(connection, Entry(account_id, key_id, audit.PERSON_SIGNED_OUT, None, detail))
    return ended
