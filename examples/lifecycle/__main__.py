"""`python -m examples.lifecycle [--short] [--home DIR] [--pictures DIR]`

What `make lifecycle` runs, offline: a feature begins on a stand-in for the frontier (SmolLM2 on
this machine), collects, is distilled into a classifier, evaluated, promoted, meets a kind of ticket
that it never saw, and is demoted. Each step is a command that is printed with what it said; each is
checked, and the first that does not do what it should ends the run with exit code 1.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from examples.demo.product import ProductFailed
from examples.lifecycle.story import LONG, SHORT, StoryFailed, tell
from tierline.base.errors import TierlineError


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make lifecycle", description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer tickets and no canary")
    parser.add_argument("--local-url", default=None, help="a server in the local model's place")
    parser.add_argument("--home", type=Path, default=None, help="default: a new folder")
    parser.add_argument("--pictures", type=Path, default=None, help="where the PNGs go")
    options = parser.parse_args(argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with tempfile.TemporaryDirectory(prefix="tierline-lifecycle-") as folder:
        home = options.home or Path(folder) / "home"
        try:
            length = SHORT if options.short else LONG
            tell(home.absolute(), length, options.pictures, options.local_url)
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 130
        except (StoryFailed, ProductFailed, TierlineError) as error:
            print(f"make lifecycle: {error}", file=sys.stderr)
            return 1
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
