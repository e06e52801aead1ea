"""`python -m examples.demo [--frontier provider:model] [--larger 0] [--home DIR] [--json]`

What `make demo [FRONTIER=provider:model] [LARGER=0]` runs. It exits with 0 when every row
became one job that ended once and the bar held: of what was served, at most 5% is wrong. 3 says
that the bar did not hold, 1 that the run went wrong, 130 follows Ctrl-C.
"""

import argparse
import contextlib
import json
import os
import secrets
import shlex
import signal
import sys
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from rich.console import Console

from examples.demo.bar import BAR_MISSED
from examples.demo.budget import Budget, budget
from examples.demo.check_server import CheckServer
from examples.demo.classifier import train
from examples.demo.live import Progress
from examples.demo.outcomes import Outcome
from examples.demo.picture import draw
from examples.demo.product import Product, ProductFailed, environment
from examples.demo.report import print_report
from examples.demo.rows import Road, Row, read_rows
from examples.demo.second_tier import LARGER, SMALL, SecondTier, feature_texts
from examples.demo.submission import TERMINAL, Submission
from examples.receiver import Event, Receiver
from tierline.base.errors import TierlineError
from tierline.features import Feature, ModelRef
from tierline.features.parse import parse_feature
from tierline.providers import configured

LONGEST_S = 3600.0  # a demo that is not done by then has something wrong with it
TICK_S = 0.25


@dataclass(frozen=True)
class RunState:
    """What the home keeps of the last run, so that one that was interrupted is gone on with."""

    run_id: str
    second: str  # the second tier's model
    port: int  # of the webhook receiver: the jobs' webhook_url names it
    every: int = 1  # only every n-th input
    finished: bool = False

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self.__dict__), encoding="utf-8")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--frontier", default="", help="a paid second tier, as openai:gpt-6.1-sol")
    parser.add_argument(
        "--larger",
        default="",
        type=str.strip,
        choices=("", "0", "1"),
        help="0: do without the larger local model",
    )
    parser.add_argument("--every", type=int, default=1, help="only every n-th input: a short run")
    parser.add_argument("--local-url", default=None, help="a server in the local models' place")
    parser.add_argument("--home", type=Path, default=Path(".tierline-demo"))
    parser.add_argument("--json", action="store_true", help="the figures as JSON on stdout")
    options = parser.parse_args(argv)
    if options.every < 1:
        parser.error("--every: at least 1")
    frontier = options.frontier.strip()
    if frontier:
        try:
            ModelRef.parse(frontier)
        except ValueError as error:
            parser.error(f"FRONTIER: {error}")
    console = Console(highlight=False, soft_wrap=True, stderr=options.json)
    # SIGTERM and a closed terminal end it as Ctrl-C does: in order, leaving nothing running.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        return _demo(
            console,
            frontier,
            options.larger == "0",
            options.every,
            options.local_url,
            options.home.absolute(),
            as_json=options.json,
        )
    except KeyboardInterrupt:
        console.print("stopped; run it again and it continues where it was")
        return 130
    except (ProductFailed, TierlineError) as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # Not by print(), which a signal may have interrupted.
    os.write(2, b"\nstopping; this takes some seconds (Ctrl-C again: at once)\n")
    raise KeyboardInterrupt


def _demo(
    console: Console,
    frontier: str,
    no_larger: bool,
    every: int,
    local_url: str | None,
    home: Path,
    as_json: bool,
) -> int:
    rows = read_rows(every)
    second = _second_tier(console, frontier, no_larger)
    texts = feature_texts(second)
    features = {name: parse_feature(text, name) for name, text in texts.items()}
    console.print(f"[bold]{len(rows)} inputs, {len(texts)} features[/bold]")
    _say(console, f"first: a classifier for the tickets, {SMALL} for the invoices")
    _say(console, f"then: {second.words}")
    limit = _budget(console, rows, features, second) if second.paid else None
    folder = home / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    checks = CheckServer()
    env = environment(frontier, second.stand_in, local_url) | {"TIERLINE_CHECKS": checks.setting}
    product = Product(home, env, lambda line: console.print(line, markup=False))
    with contextlib.ExitStack() as stack:
        stack.callback(checks.close)
        stack.callback(product.stop)
        product.start()
        _say_where(console, product)
        for name, text in texts.items():
            _apply(console, product, name, text)
        promise = train(product, lambda line: console.print(line, markup=False))
        _say(console, f"its promise: {promise.words}")
        if not second.paid and local_url is None:
            product.wait_for_model(second.model.partition(":")[2])
        state, receiver, again = _run_state(
            folder / "run.json", second, every, _webhook_secret(product)
        )
        if again:
            console.print("going on with the run that was interrupted")
        stack.callback(receiver.server_close)
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        stack.callback(receiver.shutdown)
        run_folder = folder / state.run_id
        run_folder.mkdir(exist_ok=True)
        submission = Submission(product, rows, state.run_id, run_folder, receiver)
        stack.callback(submission.stop)
        capped = _follow(console, product, submission, limit)
        outcomes = _outcomes(product, submission)
        bar = print_report(console, outcomes, second, promise, datetime.now(UTC))
        whole = _say_whole(console, submission)
        draw(bar, run_folder / "served.png")
        console.print(f"As a picture: {os.path.relpath(run_folder / 'served.png')}", markup=False)
        _say_where_next(console, product)
        replace(state, finished=True).write(folder / "run.json")
    if as_json:
        print(json.dumps({"rows": len(rows), "whole": whole and not capped, **bar.to_dict()}))
    if not whole or capped:
        return 1
    return 0 if bar.held else BAR_MISSED


def _second_tier(console: Console, frontier: str, no_larger: bool) -> SecondTier:
    if frontier:
        return SecondTier(frontier)
    if no_larger:
        return SecondTier(SMALL, stand_in=True, why="LARGER=0 was given")
    from tierline.stack.local_models.fetch import fetch
    from tierline.stack.local_models.models import LARGER as MODEL

    try:
        path = fetch(MODEL)
    except TierlineError as error:
        console.print(f"the larger local model cannot be had: {error.message}", markup=False)
        return SecondTier(SMALL, stand_in=True, why="the larger local model could not be had")
    console.print(f"{path}\nsha256 {MODEL.sha256}, its publisher's", markup=False)
    return SecondTier(LARGER)


def _budget(
    console: Console, rows: list[Row], features: dict[str, Feature], second: SecondTier
) -> Budget:
    missing = configured(ModelRef.parse(second.model).provider)
    if missing:
        raise ProductFailed(f"{second.model}: {missing}")
    estimate = budget(rows, features, second.model, datetime.now(UTC))
    tokens = f"about {estimate.tokens_in:,} tokens in and at most {estimate.tokens_out:,} out"
    if estimate.likely is None or estimate.cap is None:
        console.print(
            f"estimate: {tokens} if every job escalates. Nobody knows the price of {second.model} "
            "where OPENAI_BASE_URL points, so there is no estimate in USD and no cap."
        )
    else:
        console.print(
            f"estimate: {tokens} if every job escalates, about ${estimate.likely} at "
            "the standard rate, without caching, re-asks and the higher rates that some models "
            "have for long prompts; the demo cancels "
            f"what is left once ${estimate.cap} is booked."
        )
    console.print("Ctrl-C stops it.")
    return estimate


def _run_state(
    path: Path, second: SecondTier, every: int, secret: str
) -> tuple[RunState, Receiver, bool]:
    """The state of the run to go on with, or of a new one, and whether it is gone on with."""
    key = f"{second.model} as {second.tier}"
    try:
        kept = RunState(**json.loads(path.read_text(encoding="utf-8")))
        if not kept.finished and (kept.second, kept.every) == (key, every):
            return kept, Receiver(secret, _ignore, kept.port), True
    except (OSError, ValueError, TypeError):
        pass  # no run yet, or another program has the port that its jobs' webhooks go to
    receiver = Receiver(secret, _ignore)
    name = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(3)
    state = RunState(name, key, receiver.server_address[1], every)
    state.write(path)
    return state, receiver, False


def _ignore(_event: Event) -> None:
    """An event of an earlier run that comes before this one has begun."""


def _apply(console: Console, product: Product, name: str, text: str) -> None:
    answer = product.ask(
        "POST",
        "/v1/features",
        content=text.encode(),
        headers={"Content-Type": "application/yaml"},
    )
    if answer.status_code not in (200, 201):
        raise ProductFailed(f"the feature {name} was refused: {answer.text[:500]}")
    for warning in answer.json().get("warnings") or []:
        console.print(f"{name}: {warning}", markup=False)


def _webhook_secret(product: Product) -> str:
    return str(product.get("/v1/webhook-secret")["secret"])


def _follow(
    console: Console, product: Product, submission: Submission, limit: Budget | None
) -> bool:
    """Show the jobs until all have ended. Whether the cap stopped it."""
    began = time.monotonic()
    capped = False
    submission.begin()
    with Progress(console, submission.rows) as progress:
        while not submission.done:
            product.tend()
            submission.tend()
            progress.show(submission.seen, submission.events)
            if limit is not None and limit.cap is not None and submission.booked_usd() > limit.cap:
                if not capped:
                    console.print(f"${limit.cap} is booked: cancelling what is left")
                capped = True
                submission.cancel_rest()
            if time.monotonic() - began > LONGEST_S:
                raise ProductFailed(
                    f"jobs have not ended after {LONGEST_S:.0f} s; see 'tierline queues'"
                )
            time.sleep(TICK_S)
        submission.look()
        progress.show(submission.seen, submission.events, final=True)
    return capped


def _outcomes(product: Product, submission: Submission) -> list[Outcome]:
    """Each row with what its road handed back, and its job's attempts."""
    outcomes = []
    for row in submission.rows:
        job = submission.seen.get(row.custom_id)
        if job is None:  # never submitted: the cap came first
            continue
        handed = submission.results.get(row.custom_id, job)
        attempts = product.get(f"/v1/jobs/{job['id']}/attempts")["data"]
        outcomes.append(Outcome(row, {**job, "output": handed.get("output")}, attempts))
    return outcomes


def _say_whole(console: Console, submission: Submission) -> bool:
    """Say how the jobs went in and came back. Whether every row is one job that ended once."""
    roads = {road: sum(row.road is road for row in submission.rows) for road in Road}
    twice = [row for row, ids in submission.ids.items() if len(ids) != 1]
    open_ = [row for row, job in submission.seen.items() if job["status"] not in TERMINAL]
    console.print(
        f"\n{len(submission.rows)} rows, {sum(map(len, submission.ids.values()))} jobs: "
        f"{roads[Road.POLL]} by REST and polling, {roads[Road.WEBHOOK]} with a webhook "
        f"({submission.events} events verified, {submission.receiver.rejected} with a wrong "
        f"signature), {roads[Road.BACKFILL]} by 'tierline backfill'."
    )
    if twice or open_ or len(submission.seen) != len(submission.rows):
        console.print(f"NOT every row is one job that ended once: {[*twice, *open_]}", markup=False)
        return False
    console.print("Every row is one job, and each ended once.")
    if submission.product.restarts:
        console.print(f"'tierline up' was started again {submission.product.restarts} times.")
    return True


def _say(console: Console, text: str) -> None:
    """A sentence; on a terminal its lines break between words."""
    console.print(text, markup=False, soft_wrap=not console.is_terminal)


def _say_where(console: Console, product: Product) -> None:
    where = product.addresses
    console.print(f"API     {where['api']}", markup=False)
    console.print(
        f"Flower  {where['flower']}  (user {where['flower_user']})\n"
        f"        password {where['flower_password']}",
        markup=False,
    )


def _say_where_next(console: Console, product: Product) -> None:
    home = shlex.quote(os.path.relpath(product.home))
    where = product.addresses
    api, flower = (where[name].rstrip("/").rpartition(":")[2] for name in ("api", "flower"))
    console.print(
        "\nIt stops now; the jobs are kept. To open the same jobs again:\n"
        f"  ./tierline up --home {home} --port {api} --flower-port {flower}\n"
        f"Console  {where['api']}/console  (sign in with the key in {home}/run/api_key)\n"
        f"Flower   {where['flower']}  (user {where['flower_user']})\n"
        f"         password {where['flower_password']}\n"
        f"Beside it: ./tierline jobs list --home {home}    ./tierline queues --home {home}\n"
        "Next, a feature of your own, with './tierline up' in another terminal:\n"
        "  ./tierline features init order-number",
        markup=False,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
