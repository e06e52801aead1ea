"""`tierline doctor`: find what does not fit together in the database of DATABASE_URL.

It works on the database directly, because what it finds may keep the API from working.
"""

from typing import Annotated

import typer

from tierline.cli.shared.options import Json


def doctor(
    days: Annotated[
        float, typer.Option(min=0.01, help="How many days back to read jobs and calls.")
    ] = 7.0,
    within: Annotated[
        float, typer.Option(min=1.0, help="Seconds after which it stops and says what is left.")
    ] = 60.0,
    as_json: Json = False,
) -> None:
    """Find what does not fit together in the database of DATABASE_URL. It changes nothing.

    It finds rows without the row that they name, jobs in the wrong part of the table, sums that
    differ from their calls, and partitions that are missing or half removed. Exit code 0: it found
    nothing. 1: it found something, or could not check everything.
    """
    from tierline.base.settings import settings
    from tierline.cli.shared.output import Col, line, print_json, print_table
    from tierline.stack.upgrade import examine_database

    checked = examine_database(settings().database, days, within)
    ok = all(one.ok for one in checked)
    if as_json:
        print_json(
            {
                "ok": ok,
                "checks": [
                    {
                        "flaw": one.flaw,
                        "found": one.count,
                        "examples": one.examples,
                        "not_checked": one.why,
                        "meaning": one.meaning,
                    }
                    for one in checked
                ],
            }
        )
    else:
        flaws = [one for one in checked if not one.ok]
        if flaws:
            print_table(
                [Col("FLAW"), Col("FOUND", "right"), Col("EXAMPLES"), Col("MEANING")],
                [
                    (
                        one.flaw,
                        "not checked" if one.count is None else one.count,
                        one.why or "\n".join(one.examples[:3]),
                        one.meaning,
                    )
                    for one in flaws
                ],
                "",
            )
        line(f"{len(checked) - len(flaws)} of {len(checked)} checks found nothing")
    if not ok:
        raise typer.Exit(1)
