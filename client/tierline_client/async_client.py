"""The client for asyncio, written from `client` by make_async.py: change that one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
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

    from tierline_client.async_driver import AsyncDriver
    from tierline_client.handles import AsyncJob
    from tierline_client.models import (
        Attempt,
        Batch,
        BatchRow,
        Feature,
        FeatureVersion,
        Feedback,
        Usage,
    )

Output = TypeVar("Output")


class AsyncTierline:
    """A client of the API for one event loop. Close it, or use it as a context manager.

    `base_url`, `api_key`: by default TIERLINE_URL and TIERLINE_API_KEY.
    `timeout`: seconds for one request. `retries`: of a request, after passing failures.
    `proxy`: the URL of a proxy. `http_client`: an httpx client of your own, which stays open.
    `app`: your program's name and version, for the API's log, such as "billing/2.1".
    `webhook_secret`: by default TIERLINE_WEBHOOK_SECRET.

    Raises Misconfigured if address or key are missing.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = settings.TIMEOUT_S,
        retries: int = 2,
        proxy: str | None = None,
        http_client: httpx.AsyncClient | None = None,
        app: str | None = None,
        webhook_secret: str | None = None,
    ) -> None:
        from tierline_client.async_driver import AsyncDriver

        used = Settings.of(
            base_url, api_key, timeout=timeout, retries=retries, proxy=proxy, app=app
        )
        self._driver = AsyncDriver(used, http_client)
        self.jobs: AsyncJobs = AsyncJobs(self._driver)
        self.batches: AsyncBatches = AsyncBatches(self._driver)
        self.features: AsyncFeatures = AsyncFeatures(self._driver)
        self.webhooks: Webhooks = Webhooks(webhook_secret)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._driver.close()

    async def usage(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        group_by: Sequence[str] = (),
    ) -> Usage:
        """What the account's jobs used and cost, by default in the last 30 days.

        `group_by`: any of day, feature, tier, model, purpose.
        """
        call = calls.get_usage(since, until, group_by)
        return await self._driver.run(send(call, self._driver.settings.retries))

    def with_raw_response(self) -> AbstractContextManager[RawResponses]:
        """Record the answers of the API to what is called in the block."""
        return recording()


class AsyncJobs:
    """`client.jobs`."""

    def __init__(self, driver: AsyncDriver) -> None:
        self._driver = driver
        self._retries = driver.settings.retries

    @overload
    async def submit(
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
    ) -> AsyncJob[Any]: ...

    @overload
    async def submit(
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
    ) -> AsyncJob[Output]: ...

    async def submit(
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
    ) -> AsyncJob[Any]:
        """Submit a job; returns at once.

        `input`: JSON by the feature's input schema, or a pydantic model. `output_type`: a type that
        the output is validated against, such as a pydantic model. `deadline_s`: seconds after which
        the job expires. `idempotency_key`: by default a new one, which is kept over retries.

        Raises InvalidInput, LimitReached, Forbidden and Unavailable.
        """
        submission = Submission(feature, input, metadata, webhook_url, user, session, deadline_s)
        call = calls.submit(submission, idempotency_key or calls.new_key())
        return self._job(await self._driver.run(send(call, self._retries)), output_type)

    @overload
    async def submit_and_wait(
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
    ) -> AsyncJob[Any]: ...

    @overload
    async def submit_and_wait(
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
    ) -> AsyncJob[Output]: ...

    async def submit_and_wait(
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
    ) -> AsyncJob[Any]:
        """Submit a job and wait for its end, usually in one request. See `submit` and `wait`."""
        submission = Submission(feature, input, metadata, None, user, session, deadline_s)
        key = idempotency_key or calls.new_key()
        job = await self._driver.run(submit_and_wait(submission, key, timeout, self._retries))
        return self._ended(job, output_type, check=check)

    async def submit_many(
        self, jobs: Sequence[Submission], *, idempotency_key: str | None = None
    ) -> list[AsyncJob[Any]]:
        """Submit up to 100 jobs in one call, which accepts all of them or none."""
        call = calls.submit_many(jobs, idempotency_key or calls.new_key())
        return [self._job(one, None) for one in await self._driver.run(send(call, self._retries))]

    @overload
    async def get(self, job_id: str, *, output_type: None = None) -> AsyncJob[Any]: ...

    @overload
    async def get(self, job_id: str, *, output_type: type[Output]) -> AsyncJob[Output]: ...

    async def get(self, job_id: str, *, output_type: type[Output] | None = None) -> AsyncJob[Any]:
        """Read a job. Raises NotFound."""
        job = await self._driver.run(send(calls.get_job(job_id), self._retries))
        return self._job(job, output_type)

    @overload
    async def wait(
        self,
        job_id: str,
        timeout: float | None = None,
        *,
        check: bool = True,
        output_type: None = None,
    ) -> AsyncJob[Any]: ...

    @overload
    async def wait(
        self,
        job_id: str,
        timeout: float | None = None,
        *,
        check: bool = True,
        output_type: type[Output],
    ) -> AsyncJob[Output]: ...

    async def wait(
        self,
        job_id: str,
        timeout: float | None = None,
        *,
        check: bool = True,
        output_type: type[Output] | None = None,
    ) -> AsyncJob[Any]:
        """The job once it has ended.

        Goes on through restarts of the API and broken connections. `timeout`: seconds; None: for as
        long as the job takes. Raises WaitTimeout; Unavailable if the API is away for 15 min; and
        with `check` JobFailed unless the job is completed.
        """
        job = await self._driver.run(wait_for(job_id, timeout, self._retries))
        return self._ended(job, output_type, check=check)

    @overload
    async def cancel(self, job_id: str, *, output_type: None = None) -> AsyncJob[Any]: ...

    @overload
    async def cancel(self, job_id: str, *, output_type: type[Output]) -> AsyncJob[Output]: ...

    async def cancel(
        self, job_id: str, *, output_type: type[Output] | None = None
    ) -> AsyncJob[Any]:
        """Cancel a job; a running one ends at its next step. A repeat changes nothing."""
        job = await self._driver.run(send(calls.cancel_job(job_id), self._retries))
        return self._job(job, output_type)

    async def retry(self, job_id: str, *, idempotency_key: str | None = None) -> AsyncJob[Any]:
        """A new job with the request of one that failed, expired or was cancelled."""
        call = calls.retry_job(job_id, idempotency_key or calls.new_key())
        return self._job(await self._driver.run(send(call, self._retries)), None)

    async def attempts(self, job_id: str) -> list[Attempt]:
        """What each tier answered, and what its calls cost."""
        return await self._driver.run(send(calls.job_attempts(job_id), self._retries))

    async def feedback(
        self,
        job_id: str,
        *,
        correct: bool | None = None,
        expected: Any = None,
        comment: str | None = None,
    ) -> Feedback:
        """Say whether a job's output is right, or what is right. The last word counts."""
        call = calls.give_feedback(job_id, correct, expected, comment)
        return await self._driver.run(send(call, self._retries))

    async def list(
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
    ) -> AsyncIterator[AsyncJob[Any]]:
        """The account's jobs, the newest first; further pages are read when they are needed.
        `metadata`: a field of it, and its value as text.
        """
        filters = {"feature": feature, "status": status, "tier": tier, "batch_id": batch_id}
        filters |= {"verdict": verdict, "user": user, "session": session}
        filters["metadata"] = None if metadata is None else "=".join(metadata)
        filters["escalated"] = None if escalated is None else str(escalated).lower()
        steps = each_job({**filters, "limit": page_size}, self._retries)
        async for job in self._driver.iterate(steps):
            yield self._job(job, None)

    def _job(self, document: dict[str, Any], output_type: Any) -> AsyncJob[Any]:
        from tierline_client.handles import AsyncJob, handle

        return handle(AsyncJob[Any], self, document, output_type)

    def _ended(self, document: dict[str, Any], output_type: Any, *, check: bool) -> AsyncJob[Any]:
        job = self._job(document, output_type)
        if check:
            job.check()
        return job


class AsyncBatches:
    """`client.batches`."""

    def __init__(self, driver: AsyncDriver) -> None:
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
    ) -> AsyncIterator[BatchRow[Any]]: ...

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
    ) -> AsyncIterator[BatchRow[Output]]: ...

    async def run(
        self,
        feature: str,
        rows: Iterable[Any],
        *,
        key: str | None = None,
        after: int = 0,
        metadata: Mapping[str, Any] | None = None,
        progress: Callable[[BatchProgress], None] | None = None,
        output_type: type[Output] | None = None,
    ) -> AsyncIterator[BatchRow[Any]]:
        """Run rows as a batch, and give each row's result in order.

        A row is an input, or `{"input": …, "custom_id": …, "metadata": …}`. To be able to go on
        after a crash, give a `key` of your own: a run with the same key and rows goes on where it
        was, and no row runs twice. `after`: the `row` of the last result that you have. `progress`
        is called after each part and page. A row without an answer has an `error`.
        """
        batch_run = batching.Run(feature, rows, key or calls.new_key(), metadata, after, progress)
        async for row in self._driver.iterate(batching.run(batch_run, self._retries)):
            yield batching.typed_row(row, output_type)

    async def get(self, batch_id: str) -> Batch:
        """Read a batch with its counts and cost. Raises NotFound."""
        return await self._driver.run(send(calls.get_batch(batch_id), self._retries))

    async def cancel(self, batch_id: str) -> Batch:
        """Cancel a batch. A repeat changes nothing."""
        return await self._driver.run(send(calls.cancel_batch(batch_id), self._retries))

    async def pause(self, batch_id: str) -> Batch:
        """Pause a batch: none of its waiting jobs begins until it is resumed. A repeat changes
        nothing. Raises Conflict if it has ended.
        """
        return await self._driver.run(send(calls.pause_batch(batch_id), self._retries))

    async def resume(self, batch_id: str) -> Batch:
        """Let a paused batch go on. A repeat changes nothing. Raises Conflict if it has ended."""
        return await self._driver.run(send(calls.resume_batch(batch_id), self._retries))


class AsyncFeatures:
    """`client.features`."""

    def __init__(self, driver: AsyncDriver) -> None:
        self._driver = driver
        self._retries = driver.settings.retries

    async def list(self) -> list[Feature]:
        """The applied features."""
        return await self._driver.run(send(calls.list_features(), self._retries))

    async def get(self, name: str, *, version: int | None = None) -> FeatureVersion:
        """A feature's current version, or that one, with its file. Raises NotFound."""
        return await self._driver.run(send(calls.get_feature(name, version), self._retries))
