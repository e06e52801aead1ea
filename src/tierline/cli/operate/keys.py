"""`tierline keys`: make, list, rotate, demote and revoke the API keys of accounts."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json, command_group

Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Allow it for the last operator's key; 'tierline db upgrade' makes a new one.",
    ),
]
KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as 'keys list' shows it.")]

app = command_group("Create, list, rotate, demote and revoke API keys.")


@app.command()
def create(
    account: Annotated[
        str | None, typer.Option(help="The account it acts for; by default your own.")
    ] = None,
    name: Annotated[str, typer.Option(help="A name that says what the key is for.")] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="submit, read, admin (of the account) or operator (of the installation); repeat "
            "it for several. Default: submit and read."
        ),
    ] = None,
    days: Annotated[
        float | None,
        typer.Option(min=0, help="Days until the key expires; by default it does not expire."),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it. It is shown only once, because only its hash is stored.

    Needs a key with the scope admin; for another account, or for an operator's key, one with the
    scope operator.
    """
    from tierline.cli.shared.client import connect

    body: dict[str, object] = {"name": name, "scopes": scope or ["submit", "read"]}
    if account is not None:
        body["account"] = account
    if days is not None:
        body["expires_at"] = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    with connect(home) as api:
        key = api.post("/v1/keys", json=body)
    _show_new(key, as_json)


@app.command("list")
def list_(
    account: Annotated[str | None, typer.Option(help="Only of this account.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """The keys of your account, or with an operator's key of all accounts.

    Keys are shown by their first characters only; a full key cannot be shown again.
    """
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import Col, print_json, print_lines, when

    with connect(home) as api:
        answer = api.get("/v1/keys", params={} if account is None else {"account": account})
    if as_json:
        print_json(answer)
        return
    print_lines(
        [
            *(Col("ID", "right"), Col("KEY", wrap=False), Col("ACCOUNT", least=8)),
            *(Col("NAME", least=10, rank=1), Col("SCOPES")),
            *(Col("LAST USED", rank=3), Col("ENDS", rank=2)),
        ],
        [
            (
                key["id"],
                f"{key['prefix']}…",
                key["account"],
                key["name"],
                " ".join(key["scopes"]),
                when(key.get("last_used_at")) or "never",
                _ends(key.get("revoked_at"), key.get("expires_at")),
            )
            for key in answer["data"]
        ],
        empty="no keys",
    )


@app.command()
def rotate(
    key_id: KeyId,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=168, help="How long the old key stays valid.")
    ] = 24.0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Replace a key by a new one and print it; the old one ends after the overlap.

    The new key has the same account, name, scopes and lifetime.
    """
    from urllib.parse import quote

    from tierline.cli.shared.client import connect

    with connect(home) as api:
        path = f"/v1/keys/{quote(key_id, safe='')}/rotate"
        key = api.post(path, json={"overlap_hours": overlap_hours})
    _show_new(key, as_json)


@app.command()
def demote(
    key_id: KeyId,
    force: Force = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take the operator scope from a key; it stays an admin key of its own account. Needs an
    operator's key.
    """
    from urllib.parse import quote

    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    with connect(home) as api:
        path = f"/v1/keys/{quote(key_id, safe='')}/demote"
        answer = api.send("POST", path, params=_forced(force)).json()
    if as_json:
        print_json(answer)
    else:
        scopes = ", ".join(answer["scopes"])
        line(f"key {answer['id']} of account {answer['account']} has the scopes {scopes}")


@app.command()
def revoke(
    key_id: KeyId,
    force: Force = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Revoke a key: it is refused from now on. Jobs that it submitted continue."""
    from urllib.parse import quote

    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    with connect(home) as api:
        path = f"/v1/keys/{quote(key_id, safe='')}"
        answer = api.send("DELETE", path, params=_forced(force)).json()
    if as_json:
        print_json(answer)
    else:
        line(f"key {key_id} is revoked")


def _forced(force: bool) -> dict[str, str]:
    return {"force": "true"} if force else {}


def _show_new(key: JSON, as_json: bool) -> None:
    from tierline.cli.shared.output import line, note, print_json

    if as_json:
        print_json(key)
        return
    note(
        f"key {key['id']} of account {key['account']}, scopes {', '.join(key['scopes'])}; "
        "shown only once:"
    )
    line(key["key"])


def _ends(revoked_at: object, expires_at: object) -> str:
    from tierline.cli.shared.output import when

    if revoked_at:
        return f"revoked {when(revoked_at)}"
    return when(expires_at)
