"""A run from the first request to OUT.

Every step may be interrupted and repeated: a batch's key follows from the source and the options,
sent parts are recognised, and OUT is written from the API's data.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path

from tierline.base.errors import NotFound, UsageError
from tierline.base.formats import usd
from tierline.base.json_text import JSON
from tierline.cli.run.backfill.follow import Follower
from tierline.cli.run.backfill.progress import Progress
from tierline.cli.run.backfill.reading import Reading, ReportBad
from tierline.cli.run.backfill.results import Tally, results, rows_to_retry, sent_rows, write_out
from tierline.cli.run.backfill.retrying_client import RetryingClient
from tierline.cli.run.backfill.rows import Row
from tierline.cli.run.backfill.send import no_cap, send
from tierline.cli.run.backfill.sources import Source, open_source, stamp_of
from tierline.cli.run.backfill.state import Batch, RunState, StateFile
from tierline.features import Feature
from tierline.pricing.estimates import models_without_price
from tierline.rules.batches import PLACES


@dataclass(frozen=True)
class RunOptions:
    """Options that may change between runs of the same command."""

    limit: int | None = None
    cap: Decimal | None = None  # USD, for the whole run with its retries
    retry_failed: bool = False
    raw_csv: bool = False  # write OUT's cells unchanged, even if a spreadsheet would run them


class Run:
    """One run of the command, on a stored state."""

    def __init__(
        self,
        api: RetryingClient,
        state_file: StateFile,
        state: RunState,
        options: RunOptions,
        progress: Progress,
    ) -> None:
        self.api = api
        self.state_file = state_file
        self.state = state
        self.options = options
        self.progress = progress
        self.version = 0
        self._tiers: list[str] = []
        self._source: Source | None = None
        self._stopped = False
        self._was_done = state.done is not None

    def go(self, instead_of: RunState | None = None) -> JSON:
        """Do what is left to do, and return the summary. Raises TierlineError.

        The run given in `instead_of` is cancelled once this one has begun.
        """
        feature = self._begin(instead_of)
        if self.options.cap is not None:
            refuse_unknown_prices(feature, self.options.cap)
        self._run_first()
        if not self._stopped:
            self._run_retries()
        tally = write_out(
            Path(self.state.request.out), self._results(), raw_csv=self.options.raw_csv
        )
        summary = self._summary(tally)
        self.state.done = None if self._stopped else summary
        self.state_file.write(self.state)
        return summary

    def _results(self) -> Iterator[dict[str, JSON]]:
        sent = sent_rows(self.api, self.state.batches)
        for number, result in enumerate(results(self._reading(), sent), 1):
            yield result
            self.progress.count("writing OUT:", number)
        self._refuse_changed()

    def _refuse_changed(self) -> None:
        """Raises UsageError if FILE has changed since this run began."""
        file = Path(self.state.request.file)
        if stamp_of(file) != self.state.source.stamp:
            raise UsageError(f"{file} changed meanwhile: run again when it is complete")

    def _begin(self, instead_of: RunState | None) -> JSON:
        """Open the first batch, or find it; return the feature in its version."""
        request, state = self.state.request, self.state
        if not state.batches:
            current = feature_named(self.api, request.feature)
            # Before a batch is opened: wrong columns and unknown prices end the run here.
            self._open_source(current)
            if self.options.cap is not None:
                refuse_unknown_prices(current, self.options.cap)
            state.batches.append(Batch(self._open_batch(0, None)["id"]))
        # Before the state file is overwritten: an unknown run could not be cancelled.
        self._cancel(instead_of)
        state.done = None
        self.state_file.write(state)
        batch = self._batch(state.batches[0].id)
        self.version = batch["feature_version"]
        feature = self.api.feature(request.feature, self.version)
        self._tiers = [tier["name"] for tier in feature["tiers"]]
        self._open_source(feature)
        return feature

    def _cancel(self, other: RunState | None) -> None:
        for batch in other.batches if other is not None else ():
            try:
                self.api.post(f"/v1/batches/{batch.id}/cancel")
            except NotFound:
                continue  # from another installation

    def _run_first(self) -> None:
        batch = self._batch(self.state.batches[0].id)
        follower = self._follower(0)
        if batch["status"] == "open":
            reading = self._reading()
            rows = partial(reading.rows, self._bad(follower))
            self._send(0, follower, rows, lambda: reading.whole)
        else:
            follower.note_sent(batch["rows"] - batch["bad_rows"], batch["bad_rows"])
        follower.until_ended(all_sent=not self._stopped)

    def _run_retries(self) -> None:
        """Continue a retry that did not reach OUT, else begin one if --retry-failed is given."""
        batches = self.state.batches
        if len(batches) > 1 and not self._was_done:
            self._run_retry(len(batches) - 1)
        elif self.options.retry_failed:
            number = len(batches)
            covers = self._batch(batches[0].id)["rows"]
            if next(self._to_retry(number, covers), None) is None:
                self.progress.say("no row failed: there is nothing to retry")
                return
            opened = self._open_batch(number, covers)
            batches.append(Batch(opened["id"], opened["metadata"]["covers"]))
            self.state_file.write(self.state)
            self._run_retry(number)

    def _run_retry(self, number: int) -> None:
        batch = self.state.batches[number]
        follower = self._follower(number)
        if self._batch(batch.id)["status"] == "open":
            rows = partial(self._to_retry, number, batch.covers or 0)
            self._send(number, follower, rows, lambda: True)
        follower.until_ended(all_sent=not self._stopped)

    def _to_retry(self, number: int, covers: int) -> Iterator[Row]:
        """The rows that retry `number` sends: those without an answer in any earlier batch."""
        assert self._source is not None, "opened at the beginning"
        before = sent_rows(self.api, self.state.batches[:number])
        return rows_to_retry(self._source.records(), before, covers)

    def _send(
        self,
        number: int,
        follower: Follower,
        rows: Callable[[], Iterator[Row]],
        whole: Callable[[], bool],
    ) -> None:
        batch_id = self.state.batches[number].id

        def sent(part: int, answer: JSON) -> None:
            follower.note_sent(answer["rows"] - answer["bad_rows"], answer["bad_rows"])
            self._report_refused(batch_id, part, answer["bad_rows"])

        gate = no_cap if self.options.cap is None else partial(follower.room, self.options.cap)
        result = send(self.api, batch_id, rows, gate, sent)
        self._stopped = result.stopped
        self._refuse_changed()
        if not result.stopped and whole():
            self.api.post(f"/v1/batches/{batch_id}/seal", {"parts": result.parts})

    def _report_refused(self, batch_id: str, part: int, bad_rows: int) -> None:
        most = min(bad_rows, self.progress.bad_left)
        if not most:
            return
        for row in self.api.rows(batch_id, "errors", after=part * PLACES, most=most):
            if row["status"] == "invalid":
                self.progress.bad(row["line"], row["custom_id"], row["error"]["message"])

    def _bad(self, follower: Follower) -> ReportBad:
        def report(line: int | None, custom_id: str | None, message: str) -> None:
            follower.note_sent(0, 1)
            self.progress.bad(line, custom_id, message)

        return report

    def _open_batch(self, retry: int, covers: int | None) -> JSON:
        state = self.state
        key = state.request.key(state.source.sha256, state.restart, retry)
        existing = self.api.batch_of_key(key)
        if existing is not None:
            return existing
        name = Path(state.request.file).name.encode("utf-8", "backslashreplace").decode()
        metadata = {"backfill": name, "retry": retry, "covers": covers}
        body = {"feature": state.request.feature, "metadata": metadata}
        return self.api.post("/v1/batches", body, {"Idempotency-Key": key})

    def _open_source(self, feature: JSON) -> None:
        request = self.state.request
        schema = feature["document"]["input"]
        self._source = open_source(
            Path(request.file),
            schema,
            request.mapping,
            request.id_column,
            request.encoding,
            repeats=self.state.sends_repeated,
        )

    def _reading(self) -> Reading:
        assert self._source is not None, "opened at the beginning"
        return Reading(self._source, self.options.limit)

    def _batch(self, batch_id: str) -> JSON:
        try:
            batch = self.api.batch(batch_id)
        except NotFound:
            raise UsageError(
                f"the API does not know the batch {batch_id} of this run: is it another "
                "installation or account? Use --restart to begin again"
            ) from None
        if batch["status"] == "cancelled":
            raise UsageError(f"the batch {batch_id} was cancelled: use --restart to begin again")
        return batch

    def _follower(self, number: int) -> Follower:
        others = [one.id for index, one in enumerate(self.state.batches) if index != number]
        spent = sum((Decimal(self._batch(one)["cost_usd"]) for one in others), Decimal(0))
        batch_id = self.state.batches[number].id
        return Follower(self.api, batch_id, self.progress, self._tiers, spent, number)

    def _summary(self, tally: Tally) -> JSON:
        batches = [self._batch(one.id) for one in self.state.batches]
        return {
            "feature": self.state.request.feature,
            "feature_version": self.version,
            "out": self.state.request.out,
            "batches": [one.id for one in self.state.batches],
            "rows": tally.rows,
            "statuses": dict(tally.statuses),
            "reasons": dict(tally.reasons),
            "tiers": {name: tally.tiers[name] for name in self._tiers if tally.tiers[name]},
            "cost_usd": usd(sum((Decimal(one["cost_usd"]) for one in batches), Decimal(0))),
            "unknown_cost_calls": sum(one["unknown_cost_calls"] for one in batches),
            "limit": self.options.limit,
            "raw_csv": self.options.raw_csv,
            "stopped": "max_cost" if self._stopped else None,
        }


def feature_named(api: RetryingClient, name: str) -> JSON:
    """The feature's current version. Raises UsageError if there is none."""
    try:
        return api.feature(name)
    except NotFound as error:
        raise UsageError(f"--feature: {error.message}; see 'tierline features list'") from None


def refuse_unknown_prices(feature: JSON, cap: Decimal) -> None:
    """Raises UsageError if a model that may be used has no known price."""
    unknown = models_without_price(Feature.from_dict(feature["document"]), feature["prices"])
    if unknown:
        names = ", ".join(dict.fromkeys(str(model) for model in unknown))
        raise UsageError(
            f"--max-cost-usd {cap}: the price of {names} is not known, so the cost cannot be "
            "limited; set it in the feature's file (tiers: prices:)"
        )
