"""`tierline login`: store the address and the key of a server in the user's config file."""

import sys
from typing import Annotated

import typer

from tierline.base.errors import Forbidden, UsageError
from tierline.cli.shared.options import Json


def login(
    url: Annotated[
        str | None,
        typer.Argument(metavar="URL", help="The server's address; asked for on a terminal."),
    ] = None,
    profile: Annotated[
        str, typer.Option("--profile", metavar="NAME", help="The profile to store it in.")
    ] = "default",
    default: Annotated[
        bool, typer.Option("--default", help="Use this profile if no other is named.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check an address and a key, and store them as a profile.

    The key is asked for on a terminal, and is otherwise the first line of stdin. It is stored in
    ~/.config/tierline/config.toml (XDG_CONFIG_HOME), readable by you alone. The first profile is
    the default; 'tierline --profile NAME …' uses another one.
    """
    from tierline.cli.shared.client import Client
    from tierline.cli.shared.output import line, print_json
    from tierline.cli.shared.profiles import Profile, store_profile
    from tierline_client import Place

    address = _address(url)
    key = _key()
    with Client(Place(address, key)) as api:
        try:
            api.get("/v1/jobs", params={"limit": 1})
        except Forbidden as error:
            if error.message.startswith("the API rejects"):
                raise
            # the key is valid, and may submit only
    path = store_profile(profile, Profile(address, key), default=default)
    if as_json:
        print_json({"profile": profile, "url": address, "config": str(path)})
    else:
        line(f"profile {profile} for {address} is stored in {path}")


def _address(url: str | None) -> str:
    if url is None:
        if not sys.stdin.isatty():
            raise UsageError("give the server's address: tierline login URL")
        url = _read_line("Address of the server, such as https://tierline.example.com: ")
    address = url.strip().rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise UsageError(f"{url!r} is not an address: it begins with http:// or https://")
    return address


def _key() -> str:
    if sys.stdin.isatty():
        from getpass import getpass

        key = getpass("API key (not shown): ").strip()
    else:
        key = sys.stdin.readline().strip()
    if not key:
        raise UsageError("no key: type it, or pipe it into 'tierline login URL'")
    return key


def _read_line(prompt: str) -> str:
    sys.stderr.write(prompt)
    sys.stderr.flush()
    return sys.stdin.readline()
