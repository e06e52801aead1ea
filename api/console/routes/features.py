"""The list of features, a feature's page with its versions and cases, and trying an input."""

import json
import re
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from api.access.keys import Caller
from api.console.actions import log_action, require
from api.console.pages import ConsoleRoute, page, see_other
from api.console.session import CONSOLE, Posted, Reader, Submitter
from api.console.views.features import difference
from api.console.visible import cut
from api.http.problems import Refused
from api.parameters.cursors import read_page
from api.state import Database, Shared, State
from tierline.base.errors import InvalidInput, NotFound, Problem
from tierline.base.json_text import JSON, NotJson, parse_json
from tierline.features import Feature
from tierline.features.stored import UnreadableFeature
from tierline.services.accounts import audit
from tierline.services.features.drafts import keep_draft
from tierline.services.features.find_feature import StoredVersion, current_versions, version_of
from tierline.services.jobs.submitting.new_jobs import Submitted
from tierline.services.jobs.submitting.submission import Submission
from tierline.services.money.prices import prices_now

PATH = f"{CONSOLE}/features"
router = APIRouter(prefix=PATH, include_in_schema=False, route_class=ConsoleRoute)

PAGE = 50
MOST_VERSIONS = 20  # the newest
MOST_CASES = 30
MOST_SHOWN = 600  # characters of a case
_NUMBER = re.compile(r"[0-9]{1,9}")


@router.get("")
def get_features(request: Request, _: Reader, connection: Database) -> Response:
    """The applied features by name, with their tiers."""
    versions = current_versions(connection)
    shown, older = read_page(
        request.query_params.get("cursor"),
        PAGE,
        lambda after, most: list(enumerate(versions, start=1))[after or 0 :][:most],
        lambda one: one[0],
    )
    return page(
        request,
        "features.html",
        features=[(version, _readable(version)) for _, version in shown],
        older=older,
        later="cursor" in request.query_params,
    )


@router.get("/{name}")
def get_feature(request: Request, name: str, caller: Reader, connection: Database) -> Response:
    """A feature: its tiers and prices, a form to try it, its cases and versions."""
    version = version_of(connection, name)
    feature = version.read()
    numbers = range(version.version, max(0, version.version - MOST_VERSIONS), -1)
    first = next(iter(feature.cases), None)
    return page(
        request,
        "feature.html",
        version=version,
        feature=feature,
        prices=prices_now(connection, feature),
        versions=[version_of(connection, name, number) for number in numbers],
        cases=[(case, _text(case.input), _text(case.expected)) for case in feature.cases],
        most_cases=MOST_CASES,
        example=json.dumps({} if first is None else first.input, ensure_ascii=False, indent=2),
        may_try=caller.may("submit"),
        operator=caller.may("operator"),
    )


@router.get("/{name}/versions/{number}")
def get_version(
    request: Request, name: str, number: str, _: Reader, connection: Database
) -> Response:
    """A version's file, and what it changed."""
    if not _NUMBER.fullmatch(number) or int(number) < 1:
        raise NotFound(f"there is no such version of {name[:80]!r}")
    version = version_of(connection, name, int(number))
    before = version_of(connection, name, int(number) - 1) if int(number) > 1 else None
    return page(
        request,
        "version.html",
        version=version,
        newest=version_of(connection, name).version,
        source=cut(version.source),
        difference=None if before is None else difference(before.source, version.source),
    )


@router.post("/{name}/try")
async def try_input(name: str, caller: Submitter, form: Posted, state: Shared) -> Response:
    """Submit one input, and go to its job. Another version or a single tier is tried as a draft,
    which is an operator's."""
    number, tier = form.get("version", ""), form.get("tier", "")
    if not _NUMBER.fullmatch(number):
        raise Refused("bad-request", "open the feature's page again and repeat it")
    try:
        input = parse_json(form.get("input", ""), state.settings.max_json_depth)
    except NotJson as error:
        raise InvalidInput([Problem(f"is not JSON: {error.message}", "/input")]) from None
    submitted = await _submit(state, caller, name, int(number), tier, input)
    state.ready.ready()
    detail: dict[str, str | int] = {"feature": name[:63], "version": int(number)}
    await log_action(
        state, caller, audit.TRIED, detail | ({"tier": tier[:63]} if tier else {}), submitted.job_id
    )
    return see_other(f"{CONSOLE}/jobs/{submitted.job_id}")


async def _submit(
    state: State, caller: Caller, name: str, number: int, tier: str, input: JSON
) -> Submitted:
    def read_version(connection: Any) -> tuple[bool, StoredVersion]:
        version = version_of(connection, name, number)
        return version.version == version_of(connection, name).version, version

    current, version = await run_in_threadpool(state.with_connection, read_version)
    if current and not tier:
        return await state.submitter.submit(
            caller.account_id,
            Submission(name, input),
            account=caller.account,
            most_queued=caller.limits.max_queued_jobs,
            capped=caller.capped,
            only_version=number,
        )
    require(caller, "operator")
    draft = await run_in_threadpool(
        lambda: state.with_connection(keep_draft, version.source, tier or None)
    )
    return await state.submitter.submit_draft(
        caller.account_id, draft.version.id, input, most_queued=caller.limits.max_queued_jobs
    )


def _readable(version: StoredVersion) -> Feature | None:
    try:
        return version.read()
    except UnreadableFeature:
        return None


def _text(value: JSON) -> Sequence[Any]:
    return cut(json.dumps(value, ensure_ascii=False, indent=2), MOST_SHOWN)
