"""`tierline status`: a feature's stage on the way to a proven small model, and the next step."""

from typing import Annotated

import typer

from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json


def status(
    feature: Annotated[str, typer.Argument(metavar="FEATURE")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show a feature's stage, its cost and savings this month, and the next command."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json, print_pairs

    with connect(home) as api:
        found = api.get(f"/v1/features/{feature}/status")
    if as_json:
        print_json(found)
        return
    line(_road(found))
    line()
    print_pairs(
        [
            ("feature", f"{found['feature']}, version {found['feature_version']}"),
            ("stage", f"{found['stage']}: {found['meaning']}"),
            ("this month", _month(found["month"])),
            *watched(found.get("watch")),
            ("next", found["next"]),
            ("", found["why"]),
        ]
    )


def _road(found: JSON) -> str:
    """The stages in order, with the current one in brackets."""
    return " → ".join(
        f"[{stage}]" if stage == found["stage"] else stage
        for stage in found["stages"]
        if stage != "refresh due" or found["stage"] == "refresh due"
    )


def watched(watch: JSON) -> list[tuple[str, str]]:
    """What watches the promise, for `status` and `report`; empty if nothing is promised."""
    if watch is None:
        return []
    if not watch["unwatched"]:
        return [("watched by", f"{', '.join(watch['by'])} ({watch['evidence']})")]
    told = f"unwatched: neither drift, nor shadows, nor feedback look at {watch['evidence']}"
    return [("watched by", told), ("", f"{watch['next']}: {watch['why']}")]


def _month(month: JSON) -> str:
    from tierline.cli.shared.output import usd

    unknown = month["unknown_cost_calls"]
    told = f"{month['jobs']:,} jobs for {usd(month['cost_usd'])}"
    if unknown:
        told += f" and {unknown:,} calls of unknown cost"
    if month["saved_usd"] is None:
        return f"{told}; savings are unknown"
    return f"{told}; {usd(month['saved_usd'])} saved compared with the last tier alone"
