"""The steps of the life of a feature, each a command of the product."""

import contextlib
import csv
import json
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from standardwebhooks.webhooks import Webhook

from examples.demo.product import TIERLINE, Product, environment
from examples.lifecycle.tickets import Ticket, tickets
from examples.receiver import Event, Receiver
from tierline.webhooks.sign import new_secret

FEATURE = "ticket-kinds"
FILE = """feature: ticket-kinds
instructions: |
  Choose the category of the support ticket.
input: {type: object, required: [text], properties: {text: {type: string}}}
output: {type: string, enum: [billing, bug, account-access, feature-request, shipping, other]}
examples:
  - {input: {text: What was added to the total on my receipt?}, output: billing}
  - {input: {text: The list stays empty after a search.}, output: bug}
  - {input: {text: The new password is not accepted.}, output: account-access}
  - {input: {text: Please let us rename the columns.}, output: feature-request}
  - {input: {text: The courier has not come.}, output: shipping}
  - {input: {text: Is the museum open on Sundays?}, output: other}
routing: frontier_first
shadow: {share: 0.6}
tiers:
  - {name: micro, models: [micro:all-MiniLM-L6-v2]}
  - name: frontier
    models: [local:smollm2-135m]
    confidence: {signal: label_logprob, threshold: 0}
    prices:
      local:smollm2-135m: {input_usd_per_mtok: 0, output_usd_per_mtok: 0, usd_per_hour: 0.5}
"""
SETTINGS = {"TIERLINE_SWEEP_S": "1", "TIERLINE_DRIFT_LOOK_S": "1"}  # else a minute, and a day
WAIT_S = 240.0
LONGEST_S = 3600.0  # a command that is not done by then has something wrong with it
POLL_S = 0.25
COMPARED = 50  # answers before a canary may grow
DRIFTED = 3  # exit code of `tierline drift` where there is an alarm


class StoryFailed(Exception):
    """A step did not do what it should; the message is for the person."""


@dataclass(frozen=True)
class Length:
    """The size of each part."""

    collected: int
    max_error: str  # that the classifier promises
    canary: bool
    later: int  # tickets like those before
    drifted: int  # tickets of which some are of a new kind
    late: float  # their share
    shows: bool  # also what changes nothing: the status, a review, a report, a cost estimate

    @property
    def most(self) -> int:
        """Tickets of the longest part."""
        return max(self.collected, self.later, self.drifted)


LONG = Length(
    collected=900,
    max_error="0.05",
    canary=True,
    later=200,
    drifted=400,
    late=0.2,
    shows=True,
)
SHORT = Length(
    collected=160,
    max_error="0.2",
    canary=False,
    later=30,
    drifted=120,
    late=0.35,
    shows=False,
)


@dataclass
class _Story:
    product: Product
    folder: Path
    length: Length
    pictures: Path | None
    events: list[Event] = field(default_factory=list)
    step: int = 0

    def say(self, text: str) -> None:
        self.step += 1
        print(f"\n## {self.step}. {text}\n", flush=True)

    def run(self, *words: object, code: int = 0, quiet: bool = False) -> str:
        """One command, printed with its output. Raises StoryFailed for another exit code."""
        given = [str(word) for word in words]
        ran = subprocess.run(
            [*TIERLINE, *given, "--home", str(self.product.home)],
            env={**self.product.env, "COLUMNS": "110"},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        if not quiet:
            print(f"$ tierline {shlex.join(given)}\n{ran.stdout.rstrip()}", flush=True)
        if ran.returncode != code:
            raise StoryFailed(
                f"tierline {shlex.join(given)} ended with {ran.returncode}: {ran.stderr.strip()}"
            )
        return ran.stdout

    def show(self, *words: object) -> None:
        """A command that changes nothing; the short form does without."""
        if self.length.shows:
            self.run(*words)

    def wait(self, what: str, check: Callable[[], object]) -> Any:
        """Until it is true. Raises StoryFailed when that takes too long."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            self.product.tend()
            outcome = check()
            if outcome:
                return outcome
            time.sleep(POLL_S)
        raise StoryFailed(f"waited {WAIT_S:.0f} s for {what}")

    def ask(self, name: str, sample: Sequence[Ticket]) -> list[dict[str, Any]]:
        """Backfill the tickets; their rows, each with its job."""
        source, out = self.folder / f"{name}.jsonl", self.folder / f"{name}.jsonl.out.jsonl"
        with source.open("w", encoding="utf-8") as sink:
            for ticket in sample:
                sink.write(json.dumps({"input": {"text": ticket.text}}) + "\n")
        self.run("backfill", source.name, "--feature", FEATURE)
        return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]

    def picture(self, name: str) -> list[object]:
        if self.pictures is None:
            return []
        return ["--png", self.pictures / f"{name}.png"]

    def status(self, *stages: str) -> None:
        """Show the feature's status and check that its stage is one of these."""
        self.show("status", FEATURE)
        stage = self.product.get(f"/v1/features/{FEATURE}/status")["stage"]
        if stage not in stages:
            raise StoryFailed(f"the feature is {stage}, not {' or '.join(stages)}")
        print(f"The feature is {stage}.", flush=True)


def tell(home: Path, length: Length, pictures: Path | None, local_url: str | None = None) -> None:
    """Run all of it. Raises StoryFailed, ProductFailed, or a TierlineError."""
    home.mkdir(parents=True, exist_ok=True)
    folder = home / "lifecycle"
    folder.mkdir(exist_ok=True)
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        pictures = pictures.absolute()
    settings = environment(None, True, local_url) | SETTINGS
    product = Product(home, settings, print, with_flower=False)
    with contextlib.ExitStack() as stack:
        stack.callback(product.stop)
        product.start()
        story = _Story(product, folder, length, pictures)
        stack.callback(_listen(story).shutdown)
        _begin(story)
        _collect(story)
        _distil(story)
        _evaluate(story)
        _promote(story)
        _drift(story)


def _listen(story: _Story) -> Receiver:
    """A receiver of the feature's webhooks."""
    receiver = Receiver(new_secret(), story.events.append)
    endpoint = {"url": receiver.url, "events": ["feature.drift", "feature.demoted"]}
    made = story.product.ask("POST", "/v1/webhook-endpoints", endpoint)
    if made.status_code != 201:
        raise StoryFailed(f"the receiver could not be registered: {made.text[:300]}")
    receiver.webhook = Webhook(made.json()["secret"])
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    return receiver


def _begin(story: _Story) -> None:
    story.say("A feature begins on the frontier alone")
    (story.folder / "ticket-kinds.yaml").write_text(FILE, encoding="utf-8")
    story.run("features", "apply", "ticket-kinds.yaml")
    story.status("prototype", "collecting")


def _collect(story: _Story) -> None:
    story.say("The frontier answers, and people label the tickets")
    sample = tickets(story.length.collected, seed=1)
    rows = story.ask("collected", sample)
    with (story.folder / "labels.csv").open("w", newline="", encoding="utf-8") as sink:
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerow(("job_id", "expected"))
        for row, ticket in zip(rows, sample, strict=True):
            if row["status"] == "completed":
                writer.writerow((row["job_id"], ticket.label))
    story.run("feedback", "import", "labels.csv")
    right = sum(row["output"] == ticket.label for row, ticket in zip(rows, sample, strict=True))
    print(f"By these labels the frontier was right on {right} of {len(sample)}.")
    story.run("dataset", "build", FEATURE)
    story.show("dataset", "review", FEATURE)


def _distil(story: _Story) -> None:
    story.say("A classifier learns from them, in seconds, on the CPU")
    begun = time.monotonic()
    story.run(
        "micro", "train", FEATURE, "--dataset", "newest", "--max-error", story.length.max_error
    )
    print(f"That took {time.monotonic() - begun:.1f} s.")


def _evaluate(story: _Story) -> None:
    story.say("Both tiers are compared on unseen tickets")
    story.run("eval", FEATURE, *story.picture("evaluation"))
    story.status("evaluated")


def _promote(story: _Story) -> None:
    story.say("The classifier answers first")
    if story.length.canary:
        story.run("promote", FEATURE, "--canary", "0.5")
        story.ask("canary", tickets(story.length.later, seed=2))
        story.wait("enough of the canary's answers to be compared", lambda: _compared(story))
        story.run("promote", FEATURE, "--list")
    story.run("promote", FEATURE)
    story.wait("the reference of drift", lambda: _reference(story))
    story.ask("later", tickets(story.length.later, seed=3))
    story.wait("shadows of what was served", lambda: _quality_reported(story))
    story.show("report", FEATURE)
    story.show("economics", FEATURE, "--requests-per-day", "200000", "--peak", "8")
    story.status("shipped", "default")


def _drift(story: _Story) -> None:
    story.say("A new kind of ticket arrives, about a recall; nobody has labelled any")
    sample = tickets(story.length.drifted, seed=4, late=story.length.late)
    rows = story.ask("drifted", sample)
    late = [
        (row, ticket) for row, ticket in zip(rows, sample, strict=True) if ticket.label == "other"
    ]
    served = sum(row["tier"] == "micro" for row, _ in late)
    print(f"The classifier served {served} of {len(late)} tickets whose right label is other.")
    story.wait("the alarm", lambda: _alarm(story))
    story.run("drift", FEATURE, *story.picture("drift"), code=DRIFTED)
    story.say("The promotion ends automatically")
    for event in ("feature.drift", "feature.demoted"):
        story.wait(event, lambda event=event: _received(story, event))
    for one in story.events:
        print(f"webhook {one.type}: {json.dumps(one.payload['data'])}")
    story.show("promote", FEATURE, "--list")
    story.status("candidate", "collecting")  # by how many labels there are


def _compared(story: _Story) -> bool:
    (newest, *_) = story.product.get(f"/v1/features/{FEATURE}/promotions")["data"]
    if newest["ended_at"] is not None:
        raise StoryFailed(f"the canary was ended: {newest['ended_reason']}")
    return bool(newest["compared"] >= COMPARED)


def _quality_reported(story: _Story) -> bool:
    return bool(story.product.get(f"/v1/features/{FEATURE}/report")["quality"]["served"])


def _reference(story: _Story) -> bool:
    return story.product.get(f"/v1/features/{FEATURE}/drift")["reference"] is not None


def _alarm(story: _Story) -> bool:
    return bool(story.product.get(f"/v1/features/{FEATURE}/drift")["drifted"])


def _received(story: _Story, event: str) -> bool:
    return any(one.type == event for one in story.events)
