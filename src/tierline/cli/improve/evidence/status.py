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
        answer = api.get(f"/v1/features/{feature}/status")
    if as_json:
        print_json(answer)
        return
    line(_stages(answer))
    line()
    print_pairs(
        [
            ("feature", f"{answer['feature']}, version {answer['feature_version']}"),
            ("stage", f"{answer['stage']}: {answer['meaning']}"),
            ("this month", _month(answer["month"])),
            *watched(answer.get("watch")),
            ("next", answer["next"]),
        ],
        prose=answer["why"],
    )


def _stages(answer: JSON) -> str:
    """The stages in order, with the current one in brackets."""
    return " → ".join(
        f"[{stage}]" if stage == answer["stage"] else stage
        for stage in answer["stages"]
        if stage != "refresh due" or answer["stage"] == "refresh due"
    )


def watched(watch: JSON) -> list[tuple[str, str]]:
    """What watches the promise, for `status` and `report`; empty if nothing is promised."""
    if watch is None:
        return []
    if not watch["unwatched"]:
        return [("watched by", f"{', '.join(watch['by'])} ({watch['evidence']})")]
    warning = f"unwatched: neither drift, nor shadows, nor feedback look at {watch['evidence']}"
    return [("watched by", warning), ("", f"{watch['next']}: {watch['why']}")]


def _month(month: JSON) -> str:
    from tierline.cli.shared.output import usd

    unknown = month["unknown_cost_calls"]
    text = f"{month['jobs']:,} jobs for {usd(month['cost_usd'])}"
    if unknown:
        text += f" and {unknown:,} calls of unknown cost"
    if month["saved_usd"] is None:
        return f"{text}; savings are unknown"
    return f"{text}; {usd(month['saved_usd'])} saved compared with the last tier alone"
