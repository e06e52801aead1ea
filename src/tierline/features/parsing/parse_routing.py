"""Reads a feature file's keys `routing`, `pinned`, `canary`, `shadow` and `complexity`."""

from collections.abc import Mapping, Sequence

from tierline.base.json_text import JSON, short
from tierline.base.yaml_lines import Path
from tierline.features.model import Feature, Routing, Tier
from tierline.features.parsing.reading import Reading, near
from tierline.features.routing_options import Canary, Complexity, Shadow

ROUTINGS: tuple[Routing, ...] = ("slm_first", "slm_only", "frontier_first", "frontier_only")
MOST_PINS = 1_000
MOST_ACCOUNT = 63  # characters of an account's name
LEAST_SHARE, MOST_SHARE = 0.0001, 0.9999
MOST_USD_PER_DAY = 1_000_000
MOST_CHARACTERS = 10_000_000


def read_routing(
    reading: Reading, top: Mapping[str, JSON], tiers: Sequence[Tier]
) -> tuple[Routing, dict[str, str], Canary | None]:
    """The policy, the pinned accounts with their tiers, and the canary. Problems are recorded with
    their lines.

    Jobs may only begin on tiers that the policy allows.
    """
    routing: Routing = reading.choice(top.get("routing", "slm_first"), ("routing",), ROUTINGS)
    names = [tier.name for tier in tiers]
    allowed = {"slm_only": names[:1], "frontier_only": names[-1:]}.get(routing, names)

    def tier_of(value: JSON, path: Path) -> str:
        name = reading.text(value, path, 63)
        if name and name not in names:
            reading.problem(path, f"the feature has no tier {short(name)}{near(name, names)}")
        elif name and name not in allowed:
            reading.problem(path, f"routing {routing} never uses the tier {short(name)}")
        return name

    pinned: dict[str, str] = {}
    if "pinned" in top:
        path = ("pinned",)
        if not isinstance(top["pinned"], dict) or len(top["pinned"]) > MOST_PINS:
            reading.problem(path, f"must map at most {MOST_PINS:,} accounts to tiers")
        else:
            for account, value in top["pinned"].items():
                reading.text(account, (*path, account), MOST_ACCOUNT)
                pinned[account] = tier_of(value, (*path, account))
    canary = None
    if "canary" in top:
        path = ("canary",)
        item = reading.mapping(top["canary"], path, ("tier", "share"), ("tier", "share"))
        if "tier" in item and "share" in item:
            tier = tier_of(item["tier"], (*path, "tier"))
            share = reading.number(item["share"], (*path, "share"), LEAST_SHARE, MOST_SHARE)
            canary = Canary(tier, share)
    return routing, pinned, canary


def read_shadow(reading: Reading, value: JSON, feature: Feature) -> Shadow | None:
    """The key `shadow`. It needs a later tier that can answer what the first one served."""
    path = ("shadow",)
    item = reading.mapping(value, path, ("share", "usd_per_day"), ("share",))
    if len(feature.allowed_tiers()) < 2:
        reading.problem(
            path, f"routing {feature.routing} leaves no later tier that could answer too"
        )
    if "share" not in item:
        return None
    usd = None
    if "usd_per_day" in item:
        usd = reading.number(item["usd_per_day"], (*path, "usd_per_day"), 0, MOST_USD_PER_DAY)
    return Shadow(reading.number(item["share"], (*path, "share"), LEAST_SHARE, 1), usd)


def read_complexity(reading: Reading, value: JSON, feature: Feature) -> Complexity | None:
    """The key `complexity`. It needs a later tier to ask instead."""
    path = ("complexity",)
    item = reading.mapping(value, path, ("max_risk", "longest"), ("max_risk",))
    if len(feature.allowed_tiers()) < 2:
        reading.problem(path, f"routing {feature.routing} leaves no later tier to ask instead")
    if "max_risk" not in item:
        return None
    longest = None
    if "longest" in item:
        longest = reading.integer(item["longest"], (*path, "longest"), 1, MOST_CHARACTERS)
    return Complexity(reading.number(item["max_risk"], (*path, "max_risk"), 0, 1), longest)
