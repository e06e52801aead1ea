"""The embedded server's database and the role that the product logs in with.

Two roles. ADMIN is the server's superuser, for this file alone, over the socket. APP owns the
database and everything in it: it migrates, reads and writes, may make further databases (a restore
needs one), and is no superuser, so that a statement that should never run reads no file and starts
no program.

Up to 0.1.0 the product logged in as the superuser, which owned everything. `make_database` is run
at each start, finds what is not as it should be and changes that, in one transaction for each
database: it may be cut anywhere and run again, and a home that an older release used in between is
put right once more.
"""

import psycopg

from tierline.stack import postgres
from tierline.stack.home import Home
from tierline.storage.db.ownership import hand_over, make_owned, make_role


def make_database(home: Home) -> None:
    """The product's role and its own database, owned by it, unless they are there already.

    The role's rights and password are set at each start: the home's secrets are what is right.
    """
    with psycopg.connect(postgres.admin_url(home, "postgres"), autocommit=True) as server:
        make_role(server, postgres.APP, home.secret(postgres.APP_SECRET))
        if not make_owned(server, postgres.DATABASE, postgres.APP):
            return
    with psycopg.connect(postgres.admin_url(home)) as connection:  # commits once
        hand_over(connection, postgres.ADMIN, postgres.APP)
