"""`python -m api --host 127.0.0.1 --port 8000`: one API process."""

import argparse
import signal
import sys

from api.app import create_app
from api.http.server import Server, configured
from tierline.base import lean_start, logs
from tierline.base.digits import whole
from tierline.base.errors import TierlineError
from tierline.base.settings import settings
from tierline.services.processes.connections import check_database_url


def main() -> int:
    """Serve until a signal stops it. Exit code: 0 after an orderly stop, 2 if it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m api", description="Run the REST API.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=whole, default=8000, help="0 chooses a free port")
    arguments = parser.parse_args()
    try:
        logs.configure("api")
        config = settings()
        check_database_url(config.database)  # reported here rather than in the log
        if config.replica is not None:
            check_database_url(config.replica, "DATABASE_READ_URL")
        app = create_app(config)
    except TierlineError as error:
        sys.stderr.write(f"api: {error.message}\n")
        return 2
    server = Server(configured(app, arguments.host, arguments.port), app.stop)
    lean_start.finish()
    # After its orderly stop uvicorn raises the signal again for the earlier handler; there is none.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        server.run()
    except KeyboardInterrupt:
        return 0
    except SystemExit:
        return 2
    return 0 if server.started else 2


if __name__ == "__main__":
    sys.exit(main())
