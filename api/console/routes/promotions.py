"""Promoting a feature's first tier, and letting its last tier answer again."""

import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from api.console.actions import Detail, act, log_action
from api.console.pages import ConsoleRoute, page, see_other
from api.console.session import CONSOLE, OperatorHere, Posted
from api.http.problems import Refused
from api.state import Shared
from tierline.base.errors import InvalidInput, Problem
from tierline.services.accounts import audit
from tierline.services.evidence.watch import promotions as services
from tierline.services.evidence.watch.promotions import PromotionRequest
from tierline.services.features.find_feature import version_of
from tierline.views.evidence.evaluations import MadePromotion

PATH = f"{CONSOLE}/features/{{name}}"
router = APIRouter(prefix=PATH, include_in_schema=False, route_class=ConsoleRoute)

MOST_REASON = 500  # characters
_PERCENT = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,2})?")
_NUMBER = re.compile(r"[0-9]{1,18}")


@router.post("/promote/plan")
async def plan(
    request: Request, name: str, caller: OperatorHere, form: Posted, state: Shared
) -> Response:
    """What a promotion would change. Nothing is changed."""
    share = _share(form)

    def work(connection: Any) -> tuple[int, MadePromotion]:
        version = version_of(connection, name).version
        wanted = PromotionRequest(share, dry_run=True, of_version=version)
        return version, services.promote(connection, name, wanted)

    version, promotion = await state.reports.work(request, caller.account_id, work)
    return page(
        request,
        "promotion_plan.html",
        promotion=promotion,
        version=version,
        percent=form["percent"].strip(),
    )


@router.post("/promote")
async def promote(
    request: Request, name: str, caller: OperatorHere, form: Posted, state: Shared
) -> Response:
    """Promote as the plan said. 409 if the feature was changed since the plan, so that the same
    form promotes once."""
    version, evaluation = form.get("version", ""), form.get("evaluation", "")
    if not _NUMBER.fullmatch(version) or not _NUMBER.fullmatch(evaluation):
        raise Refused("bad-request", "open the feature's evidence again and repeat it")
    promotion_request = PromotionRequest(_share(form), int(evaluation), of_version=int(version))

    def work(connection: Any) -> MadePromotion:
        return services.promote(connection, name, promotion_request)

    promotion = await state.reports.work(request, caller.account_id, work)
    detail: Detail = {
        "feature": promotion.feature,
        "tier": promotion.tier,
        "share": f"{promotion.share:.2%}",
        "version": promotion.feature_version or 0,
    }
    await log_action(state, caller, audit.PROMOTED, detail)
    return see_other(f"{CONSOLE}/features/{promotion.feature}/evidence")


@router.post("/demote")
async def demote(name: str, caller: OperatorHere, form: Posted, state: Shared) -> Response:
    """Let the last tier answer all jobs again."""
    reason = form.get("reason", "").strip()
    if not 1 <= len(reason) <= MOST_REASON or "\x00" in reason:
        raise InvalidInput([Problem(f"has 1 to {MOST_REASON} characters", "/reason")])
    demotion = await act(
        state, caller, audit.DEMOTED, {"feature": name[:63]}, services.demote, name, reason
    )
    return see_other(f"{CONSOLE}/features/{demotion.feature}/evidence")


def _share(form: Mapping[str, str]) -> float:
    """The share of the jobs, of the percent in the form. Raises InvalidInput."""
    text = form.get("percent", "").strip()
    if not _PERCENT.fullmatch(text) or not 0.01 <= float(text) <= 100:
        raise InvalidInput([Problem("is a number from 0.01 to 100", "/percent")])
    return float(text) / 100
