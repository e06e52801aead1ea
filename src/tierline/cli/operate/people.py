"""`tierline people`: who signed in to the console by OpenID Connect, and ending their sessions."""

from typing import TYPE_CHECKING, Annotated

import typer

from tierline.base.errors import NotFound, UsageError
from tierline.base.formats import many
from tierline.base.json_text import JSON
from tierline.cli.shared.options import Home, Json, command_group

if TYPE_CHECKING:
    from tierline.cli.shared.client import Client

app = command_group("List who signed in to the console by OpenID Connect; sign them out.")

PAGE = 200


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=PAGE, help="People in one page.")] = 50,
    cursor: Annotated[
        str | None, typer.Option(help="The cursor of the next page, from the last page.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """People of your account, or with an operator's key of all accounts, the newest first."""
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import Col, print_page, when

    params = {"limit": limit} | ({"cursor": cursor} if cursor else {})
    with connect(home) as api:
        page = api.get("/v1/people", params=params)
    print_page(
        page,
        [
            *(Col("ID", "right"), Col("NAME", least=10), Col("SUBJECT", least=10)),
            *(Col("ACCOUNT", least=8, rank=1), Col("SCOPES", rank=2)),
            *(Col("SESSIONS", "right"), Col("SIGNED IN", rank=3)),
        ],
        lambda one: (
            *(one["id"], one["name"], one["subject"], one["account"], " ".join(one["scopes"])),
            *(one["sessions"], when(one["signed_in_at"])),
        ),
        empty="nobody has signed in by OpenID Connect",
        as_json=as_json,
    )


@app.command("sign-out")
def sign_out(
    who: Annotated[
        str,
        typer.Argument(
            metavar="WHO", help="The person's id, subject or name, as 'people list' shows them."
        ),
    ],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """End all sessions of a person within a second.

    They may sign in again, unless the identity provider refuses it: remove them there first.
    """
    from tierline.cli.shared.client import connect
    from tierline.cli.shared.output import line, print_json

    with connect(home) as api:
        person = _find(api, who)
        answer = api.post(f"/v1/people/{person['id']}/sign-out")
    if as_json:
        print_json(answer)
    else:
        line(f"{person['name']} ({person['id']}): {many(answer['ended'], 'session')} ended")


def _find(api: "Client", who: str) -> JSON:
    """The one person of that id, else of that subject, else of that name. Raises NotFound, and
    UsageError if several have that name or subject.
    """
    people: list[JSON] = []
    cursor = None
    while True:
        page = api.get(
            "/v1/people", params={"limit": PAGE} | ({"cursor": cursor} if cursor else {})
        )
        people += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    by_id = [one for one in people if str(one["id"]) == who]
    if by_id and any(one["subject"] == who and one not in by_id for one in people):
        raise UsageError(
            f"{who!r} is the id of one person and the subject of another: give the name of the one"
            " who is meant, or use POST /v1/people/ID/sign-out"
        )
    for key in ("id", "subject", "name"):
        matching = [one for one in people if str(one[key]) == who]
        if len(matching) > 1:
            ids = ", ".join(str(one["id"]) for one in matching[:10])
            raise UsageError(f"several people have the {key} {who[:80]!r}: give an id ({ids})")
        if matching:
            return matching[0]
    raise NotFound(f"nobody of the id, subject or name {who[:80]!r} has signed in")
