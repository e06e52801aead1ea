"""`python -m benchmarks.throughput.peers NAME publish|work`: one peer's process.

`publish` reads the ids as a JSON list on stdin. DATABASE_URL, REDIS_URL and OPENAI_BASE_URL say
where the servers are.
"""

import importlib
import json
import logging
import sys
from argparse import ArgumentParser

from benchmarks.throughput.peers import NAMES


def main() -> None:
    parser = ArgumentParser(prog="python -m benchmarks.throughput.peers", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("action", choices=("publish", "work"))
    parser.add_argument("--threads", type=int, default=32, help="jobs at once in this process")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    peer = importlib.import_module(f"benchmarks.throughput.peers.peer_{arguments.name}")
    if arguments.action == "publish":
        peer.publish(json.load(sys.stdin))
    else:
        peer.work(arguments.threads)


if __name__ == "__main__":
    main()
