"""`tierline db`: migrate the database behind DATABASE_URL to this version, and list its partitions.

It works on the database directly, because the API does not serve an unmigrated one.
"""

from typing import Annotated

import typer

from tierline.cli.shared.options import Json, command_group

app = command_group("Migrate the database to this version.")


@app.callback()
def _group() -> None:
    """Migrate the database to this version."""


@app.command()
def upgrade(
    admin_key: Annotated[
        bool, typer.Option(help="Make the first admin key if there is no operator's key.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Migrate the database of DATABASE_URL forward, and make the first admin key.

    Safe to interrupt, to run again and from several places at once. Progress is on stderr. The key
    has the scope operator, and is printed only once. If no operator's key is valid any more, the
    same command makes a new one.
    """
    from tierline.base.settings import settings
    from tierline.cli.shared.output import line, note, print_json
    from tierline.stack.upgrade import first_admin_key
    from tierline.stack.upgrade import upgrade as bring_up_to_date

    url = settings().database
    result = bring_up_to_date(url, lambda words: note(f"upgrade: {words}"))
    key = first_admin_key(url) if admin_key else None
    if as_json:
        listed = [
            {name: one[name] for name in ("id", "name", "account")} for one in result.operators
        ]
        print_json(
            {
                "before": result.before,
                "after": result.after,
                "admin_key": key,
                "operator_keys": listed,
            }
        )
        return
    if result.before == result.after:
        line(f"the database is already at revision {result.after}")
    else:
        line(f"migrated from {result.before or 'an empty database'} to revision {result.after}")
    for words in result.notes():
        line(words)
    if key:
        line("first admin key, shown only once:")
        line(key)


@app.command()
def partitions(as_json: Json = False) -> None:
    """List the weekly partitions of history in the database of DATABASE_URL, the oldest first.

    KEPT BY says why TIERLINE_HISTORY_DAYS would not remove the week now; docs/operations.md
    explains each reason.
    """
    from dataclasses import asdict

    from tierline.base.settings import settings
    from tierline.cli.shared.output import Col, print_json, print_table, when
    from tierline.stack.upgrade import list_partitions

    rows = list_partitions(settings().database)
    if as_json:
        print_json(
            [
                asdict(one)
                | {
                    "begins_at": one.begins_at and one.begins_at.isoformat(),
                    "ends_at": one.ends_at.isoformat(),
                }
                for one in rows
            ]
        )
        return
    print_table(
        [
            *(Col("TABLE"), Col("PARTITION", wrap=False), Col("FROM"), Col("TO")),
            *(Col("MB", "right"), Col("KEPT BY")),
        ],
        [
            (
                one.table,
                one.name,
                when(one.begins_at) if one.begins_at else "",
                when(one.ends_at),
                f"{one.bytes / 1e6:,.1f}",
                "not over" if one.kept_by is None else ", ".join(one.kept_by),
            )
            for one in rows
        ],
        "no table is partitioned: run 'tierline db upgrade'",
    )
