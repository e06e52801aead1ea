"""`tierline db`: bring the database behind DATABASE_URL to this version of the product.

Works on the database itself, since the API does not serve one that is not migrated.
"""

from typing import Annotated

import typer

from tierline.base.errors import Unavailable
from tierline.cli.shared.options import Json, command_group

app = command_group("Bring the database to this version.")


@app.callback()
def _group() -> None:
    """Bring the database to this version."""


@app.command()
def upgrade(
    admin_key: Annotated[
        bool, typer.Option(help="Make the first admin key when there is no operator's key.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Migrate the database of DATABASE_URL forward, and make the first admin key.

    Safe to run again and from several places at once. The key is an operator's, and is printed this
    one time; when every operator's key has ended, the same command makes the next one.
    """
    from psycopg import OperationalError
    from sqlalchemy.exc import OperationalError as SqlalchemyOperationalError

    from tierline.base.settings import settings
    from tierline.cli.shared.output import line, print_json
    from tierline.services.accounts.accounts import (
        became_operators,
        ensure_first_admin,
        said_of_operators,
    )
    from tierline.storage.db import migrate

    url = settings().database
    try:
        before, after = migrate.upgrade(url)
        operators = became_operators(url, before)
        key = ensure_first_admin(url) if admin_key else None
    except (OperationalError, SqlalchemyOperationalError) as error:
        reason = " ".join(str(getattr(error, "orig", error)).split())
        raise Unavailable(f"the database of DATABASE_URL does not answer: {reason}") from None
    if as_json:
        listed = [{name: one[name] for name in ("id", "name", "account")} for one in operators]
        print_json({"before": before, "after": after, "admin_key": key, "operator_keys": listed})
        return
    if before == after:
        line(f"the database is at revision {after} already")
    else:
        line(f"migrated from {before or 'an empty database'} to revision {after}")
    for words in said_of_operators(operators):
        line(words)
    if key:
        line(f"first admin key, shown this once: {key}")
