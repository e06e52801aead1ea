"""The embedded server's database, and the role that the product uses.

There are two roles. ADMIN is the server's superuser; only this file uses it, over the socket. APP
owns the database and everything in it. It migrates, reads and writes, and may create further
databases, which a restore needs. It is no superuser, so that a wrong statement cannot read files or
start programs.

Up to 0.1.0 the product used the superuser, which owned everything. `make_database` runs at each
start and corrects what differs, in one transaction per database. It may be interrupted and run
again, and it also corrects a home that an older release used in between.
"""

import psycopg

from tierline.stack.embedded import postgres
from tierline.stack.home import Home
from tierline.storage.db.ownership import hand_over, make_owned, make_role


def make_database(home: Home) -> None:
    """Make the product's role and its database, owned by it, if they are missing.

    The role's rights and password are set at each start, because the home's secrets are
    authoritative.
    """
    with psycopg.connect(postgres.admin_url(home, "postgres"), autocommit=True) as server:
        make_role(server, postgres.APP, home.secret(postgres.APP_SECRET))
        if not make_owned(server, postgres.DATABASE, postgres.APP):
            return
    with psycopg.connect(postgres.admin_url(home)) as connection:  # commits once
        hand_over(connection, postgres.ADMIN, postgres.APP)
