"""The current version of each feature, cached, and whether an input matches it.

A cached version may be stale. The statement that writes a job notices that, and the version is read
again.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from psycopg_pool import AsyncConnectionPool

from tierline.base.errors import InvalidInput, Problem
from tierline.base.json_text import JSON, short
from tierline.checks.schema import SchemaCheck, schema_check
from tierline.routing.first_tier import Decision, default_tier, varies
from tierline.services.jobs.submitting.submission import Submission, input_problems, near
from tierline.storage.db.async_pool import again
from tierline.storage.features import features
from tierline.storage.features.features import CurrentVersion


class UnknownFeature(InvalidInput):
    """The feature was never applied."""


class OtherVersion(InvalidInput):
    """Another version of the feature is current than the one that the caller wants."""


@dataclass(frozen=True)
class Current:
    """A feature's current version, with what each of its jobs needs."""

    version: CurrentVersion
    check: SchemaCheck  # of the input
    decision: Decision  # the first tier of its jobs, unless that varies
    place: int  # of that tier, among those that call a model
    varies: bool

    @property
    def id(self) -> int:
        return self.version.id

    @classmethod
    def of(cls, version: CurrentVersion) -> "Current":
        feature = version.feature
        decision = default_tier(feature)
        place = feature.place(decision.tier_index)
        return cls(version, schema_check(feature.input_schema), decision, place, varies(feature))

    async def input_problems(self, input: JSON) -> list[Problem]:
        """Where the input does not match the version's schema."""
        if self.check.slow:
            return await asyncio.to_thread(input_problems, self.check, input)
        return input_problems(self.check, input)

    def refuse_other(self, number: int) -> None:
        """Raises OtherVersion unless this is version `number` of the feature."""
        if self.version.version != number:
            message = f"version {number} is not current: version {self.version.version} is"
            raise OtherVersion([Problem(message, "/feature")])


class CurrentVersions:
    """The cache. One per API process."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._current: dict[str, Current] = {}

    async def read(self, name: str) -> Current | None:
        """The feature's current version, or None if it was never applied."""
        cached = self._current.get(name)
        if cached is not None:
            return cached
        version = await again(self._pool, lambda c: features.current_version_async(c, name))
        if version is None:
            return None
        cached = Current.of(version)
        self._current[name] = cached
        return cached

    def forget(self, name: str) -> None:
        """Read the version again at its next use."""
        self._current.pop(name, None)

    async def fits(self, submission: Submission, current: Current | None) -> bool:
        """Whether the input matches the version. False: another version is current by now.

        Raises UnknownFeature, InvalidInput.
        """
        problems = [] if current is None else await current.input_problems(submission.input)
        if current is not None and not problems:
            return True
        if not await self._is_still(submission.feature, current):
            return False
        if current is None:
            raise await self.unknown(submission.feature)
        raise InvalidInput(problems)

    async def unknown(self, name: str) -> UnknownFeature:
        """The error for a feature that was never applied. It names features with a similar name."""
        names = await again(self._pool, features.names_async)
        if not names:
            return UnknownFeature([Problem("no feature is applied yet", "/feature")])
        message = f"there is no feature {short(name)}{near(name, names)}"
        return UnknownFeature([Problem(message, "/feature")])

    async def _is_still(self, name: str, refused_by: Current | None) -> bool:
        """Whether a refusal is valid: the version that refused is still the current one."""
        self.forget(name)
        now = await self.read(name)
        return (now and now.id) == (refused_by and refused_by.id)
