"""`tierline queues`: what waits and runs in each queue, once or live.

The backlog is in Postgres and not visible in Flower, which shows the few dispatched messages and
the tasks that ran. This command shows everything that waits, and which checks failed.
"""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json

if TYPE_CHECKING:
    from rich.console import Group

BAR = 20  # characters of a full bar
EXPLANATION = (
    "waiting: in Postgres, not in Flower (delayed: of those, not due yet) · hinted: on the way to "
    "a worker, on Flower's broker page · running: of the threads there are"
)


def queues(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Refresh until Ctrl-C.")] = False,
    every: Annotated[
        float, typer.Option(metavar="S", min=0.2, help="With --watch: seconds between refreshes.")
    ] = 1,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """What waits and runs in each queue, and which checks failed.

    The backlog is in Postgres and not visible in Flower. Flower shows the dispatched messages and
    the tasks that ran. A succeeded task there only means that it ran, whatever the result of its
    job.
    """
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import console, print_json

    with connect(home) as api:
        answer = api.get("/v1/queues")
        if as_json:
            print_json(answer)
            while watch:
                time.sleep(every)
                print_json(api.get("/v1/queues"))
            return
        out = console()
        if not watch:
            out.print(picture(answer))
            return
        if not out.is_terminal:
            while True:
                out.print(picture(answer))
                time.sleep(every)
                answer = api.get("/v1/queues")
        from rich.live import Live

        with Live(picture(answer), console=out, auto_refresh=False, screen=False) as live:
            while True:
                time.sleep(every)
                live.update(picture(api.get("/v1/queues")), refresh=True)


def picture(answer: JSON) -> "Group":
    """The queues, and the failed checks, for a person."""
    from rich.console import Group, RenderableType
    from rich.text import Text

    from tierline.cli.shared.output import Col, seconds, table

    rows = answer["data"]
    longest = max((row["waiting"] for row in rows), default=0)
    parts: list[RenderableType] = [
        table(
            [
                *(Col("QUEUE", wrap=False), Col("WAITING", "right"), Col("", wrap=False)),
                *(Col("DELAYED", "right"), Col("HINTED", "right"), Col("RUNNING", "right")),
                Col("OLDEST", "right"),
            ],
            [
                (
                    row["queue"],
                    _waiting(row),
                    bar(row["waiting"], longest),
                    f"{row['delayed']:,}",
                    row["hinted"],
                    f"{row['running']}/{row['threads']}" if row["threads"] else row["running"],
                    seconds(row["oldest_s"]) or "-",
                )
                for row in rows
            ],
        )
    ]
    failed = answer.get("failed_checks") or []
    if failed:
        parts += [
            Text(),
            table(
                [*(Col("FEATURE"), Col("TIER"), Col("FAILED CHECK"), Col("ATTEMPTS", "right"))],
                [
                    (item["feature"], item["tier"], item["verdict"], item["attempts"])
                    for item in failed
                ],
            ),
        ]
    parts += [Text(), Text(EXPLANATION, style="dim")]
    return Group(*parts)


def _waiting(row: JSON) -> str:
    """How many wait, with the age of that count if it is not of now."""
    age_s = row.get("counted_s_ago")
    return f"{row['waiting']:,}" + (f" ({age_s:.0f} s ago)" if age_s is not None else "")


def bar(waiting: int, longest: int) -> str:
    """A bar with the length of its share of the longest backlog; any backlog shows at least a
    little.
    """
    if waiting <= 0 or longest <= 0:
        return ""
    return "█" * max(1, round(BAR * waiting / longest))
