"""The client for programs with threads. `async_client` has the same surface for asyncio."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from tierline_client import batching, calls, settings
from tierline_client.batching import BatchProgress
from tierline_client.calls import Submission
from tierline_client.settings import RawResponses, Settings, recording
from tierline_client.steps import each_job, send
from tierline_client.waiting import submit_and_wait, wait_for
from tierline_client.webhooks import Webhooks

if TYPE_CHECKING:
    import httpx

    from tierline_client.handles import Job
    from tierline_client.models import (
        Attempt,
        Batch,
        BatchRow,
        Feature,
        FeatureVersion,
        Feedback,
        Usage,
    )
    from tierline_client.sync_driver import SyncDriver

Output = TypeVar("Output")


class Tierline:
    """A client of the API. It may be shared by threads; close it, or use it as a context manager.

    `base_url`, `api_key`: by default TIERLINE_URL and TIERLINE_API_KEY.
    `timeout`: seconds for one request. `retries`: of a request, after passing failures.
    `proxy`: the URL of a proxy. `http_client`: an httpx client of your own, which stays open.
    `app`: your program's name and version, for the API's log, such as "billing/2.1".
    `webhook_secret`: by default TIERLINE_WEBHOOK_SECRET.

    Raises Misconfigured if address or key are missing.

    >>> with Tierline() as client:
    ...     job = client.jobs.submit_and_wait("invoice-fields", {"text": "Invoice A-17, 12.50 EUR"})
    >>> job.status
    'completed'
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = settings.TIMEOUT_S,
        retries: int = 2,
        proxy: str | None = None,
        http_client: httpx.Client | None = None,
        app: str | None = None,
        webhook_secret: str | None = None,
    ) -> None:
        from tierline_client.sync_driver import SyncDriver

        used = Settings.of(
            base_url, api_key, timeout=timeout, retries=retries, proxy=proxy, app=app
        )
        self._driver = SyncDriver(used, http_client)
        self.jobs: Jobs = Jobs(self._driver)
        self.batches: Batches = Batches(self._driver)
        self.features: Features = Features(self._driver)
        self.webhooks: Webhooks = Webhooks(webhook_secret)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._driver.close()

    def usage(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        group_by: Sequence[str] = (),
    ) -> Usage:
        """What the account's jobs used and cost, by default in the last 30 days.

        `group_by`: any of day, feature, tier, model, purpose.

        >>> [row.feature for row in client.usage(group_by=["feature"]).data]
        ['invoice-fields']
        """
        call = calls.get_usage(since, until, group_by)
        return self._driver.run(send(call, self._driver.settings.retries))

    def with_raw_response(self) -> AbstractContextManager[RawResponses]:
        """Record the answers of the API to what is called in the block.

        >>> with client.with_raw_response() as raw:
        ...     features = client.features.list()
        >>> raw.last.status, raw.last.request_id is not None
        (200, True)
        """
        return recording()


class Jobs:
    """`client.jobs`."""

    def __init__(self, driver: SyncDriver) -> None:
        self._driver = driver
        self._retries = driver.settings.retries

    @overload
    def submit(
        self,
        feature: str,
        input: Any,
        *,
        metadata: Mapping[str, Any] | None = None,
        webhook_url: str | None = None,
        user: str | None = None,
        session: str | None = None,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
        output_type: None = None,
    ) -> Job[Any]: ...

    @overload
    def submit(
        self,
        feature: str,
        input: Any,
        *,
        metadata: Mapping[str, Any] | None = None,
        webhook_url: str | None = None,
        user: str | None = None,
        session: str | None = None,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
        output_type: type[Output],
    ) -> Job[Output]: ...

    def submit(
        self,
        feature: str,
        input: Any,
        *,
        metadata: Mapping[str, Any] | None = None,
        webhook_url: str | None = None,
        user: str | None = None,
        session: str | None = None,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
        output_type: type[Output] | None = None,
    ) -> Job[Any]:
        """Submit a job; returns at once.

        `input`: JSON by the feature's input schema, or a pydantic model. `output_type`: a type that
        the output is validated against, such as a pydantic model. `deadline_s`: seconds after which
        the job expires. `idempotency_key`: by default a new one, which is kept over retries.

        Raises InvalidInput, LimitReached, Forbidden and Unavailable.

        >>> job = client.jobs.submit("invoice-fields", {"text": "Invoice A-17, 12.50 EUR"})
        >>> job.wait().result()["invoice_number"]
        'A-17'
        """
        submission = Submission(feature, input, metadata, webhook_url, user, session, deadline_s)
        call = calls.submit(submission, idempotency_key or calls.new_key())
        return self._job(self._driver.run(send(call, self._retries)), output_type)

    @overload
    def submit_and_wait(
        self,
        feature: str,
        input: Any,
        *,
        timeout: float | None = None,
        check: bool = True,
        metadata: Mapping[str, Any] | None = None,
        user: str | None = None,
        session: str | None = None,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
        output_type: None = None,
    ) -> Job[Any]: ...

    @overload
    def submit_and_wait(
        self,
        feature: str,
        input: Any,
        *,
        timeout: float | None = None,
        check: bool = True,
        metadata: Mapping[str, Any] | None = None,
        user: str | None = None,
        session: str | None = None,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
        output_type: type[Output],
    ) -> Job[Output]: ...

    def submit_and_wait(
        self,
        feature: str,
        input: Any,
        *,
        timeout: float | None = None,
        check: bool = True,
        metadata: Mapping[str, Any] | None = None,
        user: str | None = None,
        session: str | None = None,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
        output_type: type[Output] | None = None,
    ) -> Job[Any]:
        """Submit a job and wait for its end, usually in one request. See `submit` and `wait`.

        >>> from pydantic import BaseModel
        >>> class Invoice(BaseModel):
        ...     invoice_number: str
        ...     total: float
        ...     currency: str
        >>> job = client.jobs.submit_and_wait(
        ...     "invoice-fields", {"text": "Invoice A-17, 12.50 EUR"}, output_type=Invoice
        ... )
        >>> job.result().total
        12.5
        """
        submission = Submission(feature, input, metadata, None, user, session, deadline_s)
        key = idempotency_key or calls.new_key()
        job = self._driver.run(submit_and_wait(submission, key, timeout, self._retries))
        return self._ended(job, output_type, check=check)

    def submit_many(
        self, jobs: Sequence[Submission], *, idempotency_key: str | None = None
    ) -> list[Job[Any]]:
        """Submit up to 100 jobs in one call, which accepts all of them or none.

        >>> from tierline_client import Submission
        >>> texts = ["Invoice A-17, 12.50 EUR", "Invoice A-18, 3 EUR"]
        >>> jobs = client.jobs.submit_many(
        ...     [Submission("invoice-fields", {"text": text}) for text in texts]
        ... )
        >>> [job.wait().status for job in jobs]
        ['completed', 'completed']
        """
        call = calls.submit_many(jobs, idempotency_key or calls.new_key())
        return [self._job(one, None) for one in self._driver.run(send(call, self._retries))]

    @overload
    def get(self, job_id: str, *, output_type: None = None) -> Job[Any]: ...

    @overload
    def get(self, job_id: str, *, output_type: type[Output]) -> Job[Output]: ...

    def get(self, job_id: str, *, output_type: type[Output] | None = None) -> Job[Any]:
        """Read a job. Raises NotFound.

        >>> client.jobs.get(job.id).feature
        'invoice-fields'
        """
        job = self._driver.run(send(calls.get_job(job_id), self._retries))
        return self._job(job, output_type)

    @overload
    def wait(
        self,
        job_id: str,
        timeout: float | None = None,
        *,
        check: bool = True,
        output_type: None = None,
    ) -> Job[Any]: ...

    @overload
    def wait(
        self,
        job_id: str,
        timeout: float | None = None,
        *,
        check: bool = True,
        output_type: type[Output],
    ) -> Job[Output]: ...

    def wait(
        self,
        job_id: str,
        timeout: float | None = None,
        *,
        check: bool = True,
        output_type: type[Output] | None = None,
    ) -> Job[Any]:
        """The job once it has ended.

        Goes on through restarts of the API and broken connections. `timeout`: seconds; None: for as
        long as the job takes. Raises WaitTimeout; Unavailable if the API is away for 15 min; and
        with `check` JobFailed unless the job is completed.
        """
        job = self._driver.run(wait_for(job_id, timeout, self._retries))
        return self._ended(job, output_type, check=check)

    @overload
    def cancel(self, job_id: str, *, output_type: None = None) -> Job[Any]: ...

    @overload
    def cancel(self, job_id: str, *, output_type: type[Output]) -> Job[Output]: ...

    def cancel(self, job_id: str, *, output_type: type[Output] | None = None) -> Job[Any]:
        """Cancel a job; a running one ends at its next step. A repeat changes nothing."""
        job = self._driver.run(send(calls.cancel_job(job_id), self._retries))
        return self._job(job, output_type)

    def retry(self, job_id: str, *, idempotency_key: str | None = None) -> Job[Any]:
        """A new job with the request of one that failed, expired or was cancelled."""
        call = calls.retry_job(job_id, idempotency_key or calls.new_key())
        return self._job(self._driver.run(send(call, self._retries)), None)

    def attempts(self, job_id: str) -> list[Attempt]:
        """What each tier answered, and what its calls cost.

        >>> [attempt.verdict for attempt in client.jobs.attempts(job.id)]
        ['passed']
        """
        return self._driver.run(send(calls.job_attempts(job_id), self._retries))

    def feedback(
        self,
        job_id: str,
        *,
        correct: bool | None = None,
        expected: Any = None,
        comment: str | None = None,
    ) -> Feedback:
        """Say whether a job's output is right, or what is right. The last word counts.

        >>> client.jobs.feedback(job.id, correct=True).correct
        True
        """
        call = calls.give_feedback(job_id, correct, expected, comment)
        return self._driver.run(send(call, self._retries))

    def list(
        self,
        *,
        feature: str | None = None,
        status: str | None = None,
        tier: str | None = None,
        batch_id: str | None = None,
        verdict: str | None = None,
        user: str | None = None,
        session: str | None = None,
        metadata: tuple[str, str] | None = None,
        escalated: bool | None = None,
        page_size: int = 100,
    ) -> Iterator[Job[Any]]:
        """The account's jobs, the newest first; further pages are read when they are needed.
        `metadata`: a field of it, and its value as text.

        >>> next(client.jobs.list(feature="invoice-fields", status="completed")).status
        'completed'
        """
        filters = {"feature": feature, "status": status, "tier": tier, "batch_id": batch_id}
        filters |= {"verdict": verdict, "user": user, "session": session}
        filters["metadata"] = None if metadata is None else "=".join(metadata)
        filters["escalated"] = None if escalated is None else str(escalated).lower()
        steps = each_job({**filters, "limit": page_size}, self._retries)
        for job in self._driver.iterate(steps):
            yield self._job(job, None)

    def _job(self, document: dict[str, Any], output_type: Any) -> Job[Any]:
        from tierline_client.handles import Job, handle

        return handle(Job[Any], self, document, output_type)

    def _ended(self, document: dict[str, Any], output_type: Any, *, check: bool) -> Job[Any]:
        job = self._job(document, output_type)
        if check:
            job.check()
        return job


class Batches:
    """`client.batches`."""

    def __init__(self, driver: SyncDriver) -> None:
        self._driver = driver
        self._retries = driver.settings.retries

    @overload
    def run(
        self,
        feature: str,
        rows: Iterable[Any],
        *,
        key: str | None = None,
        after: int = 0,
        metadata: Mapping[str, Any] | None = None,
        progress: Callable[[BatchProgress], None] | None = None,
        output_type: None = None,
    ) -> Iterator[BatchRow[Any]]: ...

    @overload
    def run(
        self,
        feature: str,
        rows: Iterable[Any],
        *,
        key: str | None = None,
        after: int = 0,
        metadata: Mapping[str, Any] | None = None,
        progress: Callable[[BatchProgress], None] | None = None,
        output_type: type[Output],
    ) -> Iterator[BatchRow[Output]]: ...

    def run(
        self,
        feature: str,
        rows: Iterable[Any],
        *,
        key: str | None = None,
        after: int = 0,
        metadata: Mapping[str, Any] | None = None,
        progress: Callable[[BatchProgress], None] | None = None,
        output_type: type[Output] | None = None,
    ) -> Iterator[BatchRow[Any]]:
        """Run rows as a batch, and give each row's result in order.

        A row is an input, or `{"input": …, "custom_id": …, "metadata": …}`. To be able to go on
        after a crash, give a `key` of your own: a run with the same key and rows goes on where it
        was, and no row runs twice. `after`: the `row` of the last result that you have. `progress`
        is called after each part and page. A row without an answer has an `error`.

        >>> texts = ["Invoice A-17, 12.50 EUR", "Invoice A-18, 3 EUR"]
        >>> results = client.batches.run("invoice-fields", [{"text": text} for text in texts])
        >>> [row.output["invoice_number"] for row in results]
        ['A-17', 'A-18']
        """
        batch_run = batching.Run(feature, rows, key or calls.new_key(), metadata, after, progress)
        for row in self._driver.iterate(batching.run(batch_run, self._retries)):
            yield batching.typed_row(row, output_type)

    def get(self, batch_id: str) -> Batch:
        """Read a batch with its counts and cost. Raises NotFound."""
        return self._driver.run(send(calls.get_batch(batch_id), self._retries))

    def cancel(self, batch_id: str) -> Batch:
        """Cancel a batch. A repeat changes nothing."""
        return self._driver.run(send(calls.cancel_batch(batch_id), self._retries))

    def pause(self, batch_id: str) -> Batch:
        """Pause a batch: none of its waiting jobs begins until it is resumed. A repeat changes
        nothing. Raises Conflict if it has ended.
        """
        return self._driver.run(send(calls.pause_batch(batch_id), self._retries))

    def resume(self, batch_id: str) -> Batch:
        """Let a paused batch go on. A repeat changes nothing. Raises Conflict if it has ended."""
        return self._driver.run(send(calls.resume_batch(batch_id), self._retries))


class Features:
    """`client.features`."""

    def __init__(self, driver: SyncDriver) -> None:
        self._driver = driver
        self._retries = driver.settings.retries

    def list(self) -> list[Feature]:
        """The applied features.

        >>> "invoice-fields" in [feature.name for feature in client.features.list()]
        True
        """
        return self._driver.run(send(calls.list_features(), self._retries))

    def get(self, name: str, *, version: int | None = None) -> FeatureVersion:
        """A feature's current version, or that one, with its file. Raises NotFound."""
        return self._driver.run(send(calls.get_feature(name, version), self._retries))
