"""Jobs with methods: what the clients return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import PrivateAttr

from tierline_client.models import Attempt, Feedback, TypedJob, typed

if TYPE_CHECKING:
    from collections.abc import Mapping

Output = TypeVar("Output")
AnyJob = TypeVar("AnyJob", bound=TypedJob[Any])


class Job(TypedJob[Output], Generic[Output]):
    """A job of a `Tierline` client, as it was when it was read."""

    _jobs: Any = PrivateAttr()  # the client's `jobs`
    _output_type: Any = PrivateAttr(default=None)

    def wait(self, timeout: float | None = None, *, check: bool = True) -> Job[Output]:
        """The job once it has ended; see `Jobs.wait`."""
        job: Job[Output] = self._jobs.wait(
            self.id, timeout, check=check, output_type=self._output_type
        )
        return job

    def refresh(self) -> Job[Output]:
        """The job as it is now."""
        job: Job[Output] = self._jobs.get(self.id, output_type=self._output_type)
        return job

    def cancel(self) -> Job[Output]:
        """Cancel the job; a running one ends at its next step."""
        job: Job[Output] = self._jobs.cancel(self.id, output_type=self._output_type)
        return job

    def attempts(self) -> list[Attempt]:
        """What each tier answered, and what its calls cost."""
        attempts: list[Attempt] = self._jobs.attempts(self.id)
        return attempts

    def feedback(
        self, *, correct: bool | None = None, expected: Any = None, comment: str | None = None
    ) -> Feedback:
        """Say whether the output is right, or what is right. The last word counts."""
        feedback: Feedback = self._jobs.feedback(
            self.id, correct=correct, expected=expected, comment=comment
        )
        return feedback


class AsyncJob(TypedJob[Output], Generic[Output]):
    """A job of an `AsyncTierline` client, as it was when it was read."""

    _jobs: Any = PrivateAttr()  # the client's `jobs`
    _output_type: Any = PrivateAttr(default=None)

    async def wait(self, timeout: float | None = None, *, check: bool = True) -> AsyncJob[Output]:
        """The job once it has ended; see `Jobs.wait`."""
        job: AsyncJob[Output] = await self._jobs.wait(
            self.id, timeout, check=check, output_type=self._output_type
        )
        return job

    async def refresh(self) -> AsyncJob[Output]:
        """The job as it is now."""
        job: AsyncJob[Output] = await self._jobs.get(self.id, output_type=self._output_type)
        return job

    async def cancel(self) -> AsyncJob[Output]:
        """Cancel the job; a running one ends at its next step."""
        job: AsyncJob[Output] = await self._jobs.cancel(self.id, output_type=self._output_type)
        return job

    async def attempts(self) -> list[Attempt]:
        """What each tier answered, and what its calls cost."""
        attempts: list[Attempt] = await self._jobs.attempts(self.id)
        return attempts

    async def feedback(
        self, *, correct: bool | None = None, expected: Any = None, comment: str | None = None
    ) -> Feedback:
        """Say whether the output is right, or what is right. The last word counts."""
        feedback: Feedback = await self._jobs.feedback(
            self.id, correct=correct, expected=expected, comment=comment
        )
        return feedback


def handle(kind: type[AnyJob], jobs: Any, document: Mapping[str, Any], output_type: Any) -> AnyJob:
    """A job of `kind` from the API's JSON. Raises OutputMismatch if it has an output of another
    type.
    """
    if output_type is not None and document["status"] == "completed":
        document = {
            **document,
            "output": typed(document.get("output"), output_type, document["id"]),
        }
    job = kind.model_validate(document)
    job._jobs = jobs  # type: ignore[attr-defined]
    job._output_type = output_type  # type: ignore[attr-defined]
    return job
