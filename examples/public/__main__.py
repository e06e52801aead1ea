"""`python -m examples.public banking77 PATH [--max-error 0.03] [--limit N] [--home DIR]`

Starts the product, trains a classifier on PATH/train.csv as a user would, sends PATH/test.csv
through it by `tierline backfill`, and compares what was served with the known answers. No key is
needed, and no model but the classifier answers: what it is not sure of is left to a person. It
exits with 0 if the promise held or nothing was promised, with 3 if more was wrong than promised,
with 1 or 2 if the run went wrong.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.table import Table

from examples.demo.product import TIERLINE, Product, ProductFailed, environment
from examples.public import banking77
from examples.public.banking77 import FEATURE, Trust
from tierline.base.errors import TierlineError

BROKEN = 3  # exit code
STEP_S = 3600.0
NO_MODEL = (
    "http://127.0.0.1:9/v1"  # nothing listens there, and no request goes there: see banking77.py
)
PLAN = "classifier-only"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.public", description=__doc__)
    parser.add_argument("data", choices=["banking77"])
    parser.add_argument("path", type=Path, help="the folder with train.csv and test.csv")
    parser.add_argument(
        "--max-error", type=float, default=0.03, help="the promised share of errors"
    )
    parser.add_argument("--limit", type=int, default=None, help="only so many test questions")
    parser.add_argument("--home", type=Path, default=None, help="default: a new folder")
    options = parser.parse_args(argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with tempfile.TemporaryDirectory(prefix="tierline-public-") as folder:
        home = (options.home or Path(folder) / "home").absolute()
        try:
            trust = run(home, options.path, options.max_error, options.limit)
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 130
        except (ProductFailed, TierlineError) as error:
            print(f"examples.public: {error}", file=sys.stderr)
            return 1
    print_trust(trust, options.max_error)
    return BROKEN if trust.wrong > options.max_error * trust.served else 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run(home: Path, data: Path, max_error: float, limit: int | None) -> Trust:
    """Train on the training questions and ask the test questions. Raises TierlineError or
    ProductFailed."""
    train, test = (banking77.read_questions(data / name) for name in banking77.FILES)
    test = test[:limit]
    print(f"{len(train):,} questions to learn from, {len(test):,} to ask", flush=True)
    folder = home / "public"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "feature.yaml").write_text(banking77.feature_text(train), encoding="utf-8")
    (folder / "train.jsonl").write_text(banking77.labelled_lines(train), encoding="utf-8")
    (folder / "test.jsonl").write_text(banking77.input_lines(test), encoding="utf-8")
    out = folder / "test.out.jsonl"
    product = Product(home, environment(None, True, NO_MODEL), print, with_flower=False)
    try:
        product.start()
        for words in (
            ("features", "apply", "feature.yaml"),
            ("dataset", "build", FEATURE, "--no-jobs", "--from", "train.jsonl"),
            (
                *("micro", "train", FEATURE, "--dataset", "newest"),
                *("--max-error", str(max_error), "--strangers", "0"),
            ),
            ("plans", "set", PLAN, "--first-tier-only"),
            ("plans", "assign", PLAN, "--account", "default"),
            ("backfill", "test.jsonl", "--feature", FEATURE, "--out", out.name),
        ):
            _command(product, folder, *words)
    finally:
        product.stop()
    return banking77.trust(test, map(json.loads, out.read_text(encoding="utf-8").splitlines()))


def _command(product: Product, folder: Path, *words: str) -> None:
    """One command as a user types it; a backfill ends with 1 where some rows were not served."""
    print(f"$ tierline {' '.join(words)}", flush=True)
    began = time.monotonic()
    ran = subprocess.run(
        [*TIERLINE, *words, "--home", str(product.home)],
        cwd=folder,
        env=product.env,
        capture_output=True,
        text=True,
        timeout=STEP_S,
        check=False,
    )
    product.tend()
    if ran.returncode not in ((0, 1) if words[0] == "backfill" else (0,)):
        raise ProductFailed(f"tierline {' '.join(words)}: {ran.stderr.strip()[-500:]}")
    print(f"  {time.monotonic() - began:.0f} s", flush=True)


def print_trust(trust: Trust, max_error: float) -> None:
    """The same table as the demo's, for one feature."""
    console = Console(highlight=False, soft_wrap=True)
    total = trust.served + trust.left
    table = Table(box=None, title_justify="left", title="What was served", padding=(0, 2, 0, 0))
    table.add_column("feature", no_wrap=True)
    for title in ("served right", "served WRONG", "left to a person", "cost"):
        table.add_column(title, justify="right")
    row = [f"{number:,}" for number in (trust.right, trust.wrong, trust.left)]
    table.add_row(f"{FEATURE} ({total:,})", *row, f"${trust.cost_usd:f}")
    console.print()
    console.print(table)
    if not trust.served:
        console.print(f"No threshold keeps a promise of {max_error:.1%}, so nothing was served.")
        return
    share = trust.wrong / trust.served
    held = "It held." if share <= max_error else "It did NOT hold."
    console.print(
        f"Promised: at most {max_error:.1%} wrong, at 95% confidence. Of {trust.served:,} served "
        f"({trust.served / total:.1%}), {trust.wrong:,} are wrong ({share:.2%}). {held}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
