"""What bounds sign-ins by OpenID Connect in one process."""

import asyncio
import threading

import pytest
from starlette.requests import Request

from api.access import openid
from api.access.openid import AT_ONCE, OpenIdSignIn
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.errors import Unavailable
from tierline.openid.access import AccessRules
from tierline.openid.attempt import Attempt
from tierline.openid.provider import OpenIdConfig
from tierline.rules import address_turns

RULES = AccessRules("account", {"a": "a"}, "role", {"r": "read"})
CONFIG = OpenIdConfig(
    "https://login.invalid", "tierline", "s" * 43, "https://t.invalid", "openid", RULES, 600, 5, 1
)


def asked_by(address: str) -> Request:
    headers = [(b"x-forwarded-for", b"192.0.2.66, " + address.encode())]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    return Request({**scope, "client": ("127.0.0.1", 1)})


class Hanging:
    """A provider that answers once it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = threading.Event()

    def authorization_url(self, _: Attempt) -> str:
        self.asked += 1
        assert self.may_answer.wait(DEADLINE_S)
        return "https://login.invalid/authorize"


def test_one_address_does_not_keep_the_others_out_while_the_provider_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider = Hanging()
    monkeypatch.setattr(openid, "IdentityProvider", lambda _: provider)
    monkeypatch.setattr(openid, "WAIT_S", 0.1)
    sign_in = OpenIdSignIn(CONFIG)

    async def ask(address: str) -> str:
        return await sign_in.authorization_url(asked_by(address), sign_in.begin("/console"))

    async def story() -> None:
        stranger = [asyncio.create_task(ask("192.0.2.1")) for _ in range(address_turns.AT_ONCE)]
        await asyncio.to_thread(
            wait_until, lambda: provider.asked == address_turns.AT_ONCE, DEADLINE_S, "its turns"
        )
        for _ in range(5):
            with pytest.raises(Unavailable, match="too many sign-ins come from your network"):
                await ask("192.0.2.1")
        others = [asyncio.create_task(ask(f"192.0.2.{n}")) for n in range(2, 4)]
        await asyncio.to_thread(
            wait_until, lambda: provider.asked == AT_ONCE, DEADLINE_S, "the others' turns"
        )
        provider.may_answer.set()
        assert len(await asyncio.gather(*stranger, *others)) == AT_ONCE
        assert await ask("192.0.2.1"), "its turns are over"

    asyncio.run(story())


def test_a_crowd_behind_one_address_signs_in_while_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider = Hanging()
    provider.may_answer.set()
    monkeypatch.setattr(openid, "IdentityProvider", lambda _: provider)
    monkeypatch.setattr(address_turns, "SECONDS", 0.0)  # so it has used up its share
    sign_in = OpenIdSignIn(CONFIG)

    async def story() -> None:
        for _ in range(5):
            attempt = sign_in.begin("/console")
            assert await sign_in.authorization_url(asked_by("192.0.2.1"), attempt)

    asyncio.run(story())
