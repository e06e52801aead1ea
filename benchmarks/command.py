"""The command line that every benchmark has: its own options, --json and --short."""

import signal
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence


def read_arguments(
    parser: ArgumentParser, short: Mapping[str, object], argv: Sequence[str] | None = None
) -> Namespace:
    """The arguments; with --short those of `short` replace the defaults.

    From here on a SIGTERM ends the process as Ctrl-C does, so that what it started is stopped.
    """
    _add_common(parser)
    if parser.parse_known_args(argv)[0].short:
        parser.set_defaults(**short)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return parser.parse_args(argv)


def read_some_arguments(
    parser: ArgumentParser, argv: Sequence[str] | None = None
) -> tuple[Namespace, list[str]]:
    """The arguments that `parser` knows, with --json and --short, and the other ones."""
    _add_common(parser)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return parser.parse_known_args(argv)


def _add_common(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the figures as one line of JSON")
    parser.add_argument("--short", action="store_true", help="a small form: a smoke test")
