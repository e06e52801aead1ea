"""`tierline db`: bring the database behind DATABASE_URL to this version of the product.

Works on the database itself, since the API does not serve one that is not migrated.
"""

from typing import Annotated

import typer

from tierline.cli.options import Json, command_group
from tierline.errors import Unavailable

app = command_group("Bring the database to this version.")


@app.callback()
def _group() -> None:
    """Bring the database to this version."""


@app.command()
def upgrade(
    admin_key: Annotated[
        bool, typer.Option(help="Make the first admin key when there is none yet.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Migrate the database of DATABASE_URL forward, and make the first admin key.

    Safe to run again and from several places at once. The key is printed this one time.
    """
    from psycopg import OperationalError
    from sqlalchemy.exc import OperationalError as SqlalchemyOperationalError

    from tierline.cli.output import line, print_json
    from tierline.services.accounts import ensure_first_admin
    from tierline.settings import settings
    from tierline.storage import migrate

    url = settings().database
    try:
        before, after = migrate.upgrade(url)
        key = ensure_first_admin(url) if admin_key else None
    except (OperationalError, SqlalchemyOperationalError) as error:
        reason = " ".join(str(getattr(error, "orig", error)).split())
        raise Unavailable(f"the database of DATABASE_URL does not answer: {reason}") from None
    if as_json:
        print_json({"before": before, "after": after, "admin_key": key})
        return
    if before == after:
        line(f"the database is at revision {after} already")
    else:
        line(f"migrated from {before or 'an empty database'} to revision {after}")
    if key:
        line(f"first admin key, shown this once: {key}")
