"""Signing in to the console by OpenID Connect: a real provider and the API, over HTTP."""

import base64
import contextlib
import itertools
import json
import re
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import psycopg
import pytest

from tests.support.api.browser import Browser, text_of
from tests.support.api.served import Api, serving
from tests.support.fake_servers.identity_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    HTML,
    IdentityProvider,
    identity_provider,
)
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.base.settings import settings
from tierline.services.accounts.accounts import create_account, create_key

if TYPE_CHECKING:  # only one test needs what drives a real browser
    from playwright.sync_api import Browser as Chromium

Connection = psycopg.Connection[Any]

KIM = {"sub": "kim", "name": "Kim", "department": "Shop", "groups": ["staff", "ops"]}
ADDRESSES = itertools.cycle(range(1, 255))
PERSON = "SELECT account_id, scopes, name FROM console_people WHERE subject = %s"
ENTRIES = "SELECT action, detail FROM audit_log WHERE id > %s ORDER BY id"


@pytest.fixture
def provider(running: tuple[IdentityProvider, str, str]) -> Iterator[IdentityProvider]:
    """The identity provider, which signs in Kim, an operator."""
    provider = running[0]
    provider.claims = dict(KIM)
    yield provider
    provider.behave()


@pytest.fixture(scope="module")
def running(
    environment: None, api: Api, rows: Connection
) -> Iterator[tuple[IdentityProvider, str, str]]:
    """A provider, and the addresses of two API processes that answer at one address."""
    create_account(rows, "shop")
    with contextlib.ExitStack() as opened:
        provider = opened.enter_context(identity_provider())
        listener = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        provider.redirect_uris = {f"{base_url}/console/sign-in/callback"}
        patch = opened.enter_context(pytest.MonkeyPatch.context())
        for name, value in {
            "ISSUER": provider.issuer,
            "CLIENT_ID": CLIENT_ID,
            "CLIENT_SECRET": CLIENT_SECRET,
            "BASE_URL": base_url,
            "ACCOUNT_CLAIM": "department",
            "ACCOUNTS": '{"Shop": "shop", "Office": "default", "Gone": "gone"}',
            "ROLE_CLAIM": "groups",
            "ROLES": '{"staff": "read", "ops": "operator"}',
            "SESSION_S": "600",
            "TIMEOUT_S": "5",
            "PROXIES": "1",
        }.items():
            patch.setenv(f"TIERLINE_OIDC_{name}", value)
        settings.cache_clear()
        opened.callback(settings.cache_clear)
        first = opened.enter_context(serving(listener))
        assert first == base_url
        yield provider, first, opened.enter_context(serving())


@pytest.fixture
def console(running: tuple[IdentityProvider, str, str]) -> Iterator[Browser]:
    """A browser without a session."""
    browser = Browser(running[1])
    browser.http.headers["X-Forwarded-For"] = f"192.0.2.{next(ADDRESSES)}"  # each test has its own
    yield browser
    browser.close()


def begin(console: Browser, then: str = "/console") -> str:
    """Go to the provider and sign in there. Returns the way back, as a path of the console."""
    sent = console.get("/console/sign-in/provider", params={"next": then})
    assert sent.status_code == 303, text_of(sent)
    back = httpx.get(sent.headers["location"], trust_env=False, timeout=DEADLINE_S)
    url = urlsplit(back.headers["location"])
    return f"{url.path}?{url.query}"


def refused(answer: httpx.Response, status: int, text: str) -> None:
    """The answer is the sign-in page, says why, and begins no session."""
    assert answer.status_code == status, text_of(answer)
    assert text in text_of(answer)
    assert 'name="key"' in answer.text
    assert "tls_" not in str(answer.headers)


def newest(rows: Connection) -> int:
    row = rows.execute("SELECT coalesce(max(id), 0) FROM audit_log").fetchone()
    assert row is not None
    return int(row[0])


def test_the_sign_in_page_offers_the_provider_beside_the_key(
    console: Browser, provider: IdentityProvider
) -> None:
    page = console.get("/console/sign-in?next=/console/jobs")
    assert 'href="/console/sign-in/provider?next=%2Fconsole%2Fjobs"' in page.text
    assert "Sign in with 127.0.0.1" in text_of(page)
    assert 'name="key"' in page.text


def test_the_sign_in_page_with_the_provider_reads(
    browser: "Chromium", running: tuple[IdentityProvider, str, str]
) -> None:
    """axe finds nothing, and nothing scrolls sideways."""
    from tests.support.api.axe import contrast, violations
    from tests.support.api.looks import look

    context = browser.new_context(base_url=running[1])
    page = context.new_page()
    page.goto("/console/sign-in")
    assert page.get_by_role("link", name="Sign in with 127.0.0.1").is_visible()
    assert violations(page) == []
    assert look(page, "sign-in") == []
    page.emulate_media(color_scheme="dark")
    assert contrast(page) == []
    context.close()


def test_without_the_settings_there_is_only_the_key(stranger: Browser) -> None:
    assert "/sign-in/provider" not in stranger.get("/console/sign-in").text
    assert stranger.get("/console/sign-in/provider").status_code == 404
    assert stranger.get("/console/sign-in/callback").status_code == 404


@pytest.mark.parametrize("kind", ["RS256", "ES256"])
def test_a_person_signs_in_and_acts_by_their_claims(
    console: Browser, provider: IdentityProvider, rows: Connection, kind: str
) -> None:
    if kind == "ES256":
        provider.use_ec_key()
    before = newest(rows)

    answer = console.get(begin(console, "/console/jobs?status=failed"))

    assert answer.headers["location"] == "/console/jobs?status=failed"
    (cookie,) = [one for one in answer.headers.get_list("set-cookie") if "tls_" in one]
    for part in ("HttpOnly", "SameSite=lax", "Path=/console", "Max-Age=600"):
        assert part in cookie
    page = console.get("/console/audit")
    assert "Kim, shop" in text_of(page)
    assert ") by OpenID Connect" in text_of(page)
    assert console.get("/console/money/accounts").status_code == 200, "an operator's page"
    (stored,) = rows.execute(PERSON, ("kim",)).fetchall()
    assert stored[1:] == (["read", "admin", "operator"], "Kim")
    assert console.post("/console/sign-out").headers["location"] == "/console/sign-in"
    assert console.get("/console").status_code == 303
    assert rows.execute(ENTRIES, (before,)).fetchall() == [
        ("session.began", {"name": "Kim", "subject": "kim"}),
        ("session.ended", None),
    ]


def test_the_audit_log_over_rest_names_the_person(
    console: Browser, provider: IdentityProvider, api: Api, rows: Connection
) -> None:
    console.get(begin(console))
    entry = api.get("/v1/audit?limit=1").json()["data"][0]
    assert (entry["action"], entry["account"], entry["person"]) == ("session.began", "shop", "Kim")
    clash = rows.execute("SELECT count(*) FROM api_keys WHERE id = %s", (entry["key_id"],))
    assert clash.fetchone() == (0,), "a person's number is no key's"


def test_a_role_that_may_read_may_do_no_more(console: Browser, provider: IdentityProvider) -> None:
    provider.claims |= {"sub": "lee", "name": "Lee", "groups": "staff"}
    console.get(begin(console))
    assert console.get("/console/jobs").status_code == 200
    page = console.get("/console/audit")
    assert page.status_code == 403
    assert "you have: read" in text_of(page)
    assert console.post("/console/keys", {"name": "mine"}).status_code == 403


def test_another_api_process_completes_a_sign_in_and_knows_the_session(
    console: Browser, provider: IdentityProvider, running: tuple[IdentityProvider, str, str]
) -> None:
    host = {"Host": urlsplit(running[1]).netloc}
    answer = console.http.get(running[2] + begin(console), headers=host)
    assert answer.status_code == 303, text_of(answer)
    assert console.get("/console").status_code == 200
    assert console.http.get(running[2] + "/console", headers=host).status_code == 200


def test_two_tabs_may_sign_in_at_once(console: Browser, provider: IdentityProvider) -> None:
    one, two = begin(console, "/console/jobs"), begin(console, "/console/batches")
    assert console.get(one).headers["location"] == "/console/jobs"
    assert console.get(two).headers["location"] == "/console/batches"


@pytest.mark.parametrize(
    "then", ["https://evil.invalid/", "//evil.invalid", "/v1/jobs", "/console/\r\nx"]
)
def test_signing_in_leads_to_a_page_of_the_console_only(
    console: Browser, provider: IdentityProvider, then: str
) -> None:
    assert console.get(begin(console, then)).headers["location"] == "/console"


def test_a_session_ends_after_its_time(
    console: Browser, provider: IdentityProvider, rows: Connection
) -> None:
    console.get(begin(console))
    (left,) = rows.execute(
        "SELECT extract(epoch FROM max(expires_at) - clock_timestamp())::float"
        " FROM console_sessions"
    ).fetchall()
    assert 500 < left[0] <= 600
    rows.execute("UPDATE console_sessions SET expires_at = clock_timestamp()")
    wait_until(lambda: console.get("/console").status_code == 303, DEADLINE_S, "the session's end")


def test_a_sign_in_with_less_access_takes_it_from_earlier_sessions_too(
    console: Browser, provider: IdentityProvider, running: tuple[IdentityProvider, str, str]
) -> None:
    provider.claims["sub"] = "moved"
    console.get(begin(console))
    assert console.get("/console/audit").status_code == 200
    with contextlib.closing(Browser(running[1])) as later:
        provider.claims["groups"] = ["staff"]
        later.get(begin(later))
        gone = "the operator's role to be gone"
        wait_until(lambda: console.get("/console/audit").status_code == 403, DEADLINE_S, gone)
        provider.claims["department"] = "Office"
        later.get(begin_again(later))
        ended = "the session in the other account to end"
        wait_until(lambda: console.get("/console").status_code == 303, DEADLINE_S, ended)
        assert "default" in text_of(later.get("/console"))
        provider.claims["groups"] = []
        refused(later.get(begin_again(later)), 403, "'groups' gives a role")


def begin_again(console: Browser) -> str:
    console.post("/console/sign-out")
    return begin(console)


@pytest.mark.parametrize(
    ("claims", "text", "detail"),
    [
        (
            {"department": None},
            "no claim 'department'",
            {"reason": "no_account_claim", "claim": "department"},
        ),
        (
            {"department": "Sales"},
            "'department' gives an account",
            {"reason": "no_account", "claim": "department"},
        ),
        (
            {"department": ["Shop", "Office"]},
            "more than one account",
            {"reason": "several_accounts", "claim": "department"},
        ),
        ({"department": "Gone"}, "'gone', which does not exist", {"reason": "account_unknown"}),
        ({"groups": None}, "no claim 'groups'", {"reason": "no_role_claim", "claim": "groups"}),
        (
            {"groups": ["sentinel-group"]},
            "'groups' gives a role",
            {"reason": "no_role", "claim": "groups"},
        ),
    ],
    ids=str,
)
def test_without_a_claim_there_is_no_access(
    console: Browser,
    provider: IdentityProvider,
    rows: Connection,
    claims: dict[str, Any],
    text: str,
    detail: dict[str, str],
) -> None:
    provider.claims |= {"sub": "nobody", **claims}
    before = newest(rows)
    answer = console.get(begin(console))
    refused(answer, 403, text)
    assert "sentinel" not in answer.text
    assert rows.execute(ENTRIES, (before,)).fetchall() == [("session.refused", detail)]
    assert console.get("/console").status_code == 303
    assert rows.execute(PERSON, ("nobody",)).fetchall() == []


def unsigned(token: str) -> str:
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    return f"{header}.{token.split('.')[1]}."


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda p: setattr(p, "remake", unsigned), "algorithms that are accepted"),
        (lambda p: p.more.update(aud="another"), "another application"),
        (lambda p: p.more.update(iss="http://127.0.0.1:1"), "another issuer"),
        (lambda p: p.more.update(exp=1_000_000_000), "has expired"),
        (lambda p: p.more.update(nonce="another"), "another sign-in"),
        (lambda p: p.more.update(at_hash="another"), "another access token"),
        (lambda p: setattr(p, "remake", lambda t: t[:-8] + "AAAAAAAA"), "not signed by a key"),
        (lambda p: setattr(p, "remake", lambda t: "sentinel"), "not a signed token"),
    ],
    ids=["none", "aud", "iss", "exp", "nonce", "at_hash", "signature", "text"],
)
def test_an_id_token_that_cannot_be_trusted_is_refused(
    console: Browser,
    provider: IdentityProvider,
    capfd: pytest.CaptureFixture[str],
    spoil: Callable[[IdentityProvider], None],
    text: str,
) -> None:
    spoil(provider)
    answer = console.get(begin(console))
    refused(answer, 401, text)
    assert "sentinel" not in answer.text + "".join(capfd.readouterr())


def test_a_changed_signing_key_is_read_anew(console: Browser, provider: IdentityProvider) -> None:
    provider.new_key("second")
    assert console.get(begin(console)).status_code == 303


FAULTS = {
    "HTML": (HTML, "not a JSON object"),
    "an error": ((503, "text/plain", b"sentinel"), "status 503"),
    "a redirect": ((302, "text/plain", b""), "status 302"),
    "a list": ((200, "application/json", b"[]"), "not a JSON object"),
    "too much": ((200, "application/json", b" " * 300_000), "too long"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_token_endpoint_that_does_not_answer_as_one_is_told(
    console: Browser,
    provider: IdentityProvider,
    rows: Connection,
    capfd: pytest.CaptureFixture[str],
    fault: str,
) -> None:
    provider.answers["/token"], text = FAULTS[fault]
    answer = console.get(begin(console))
    refused(answer, 503, text)
    assert "sentinel" not in answer.text + "".join(capfd.readouterr())


def test_a_slow_provider_is_given_up(console: Browser, provider: IdentityProvider) -> None:
    provider.slow = {"/token"}
    refused(console.get(begin(console)), 503, "does not answer within 5 s")


def test_a_persons_sessions_are_ended_by_an_administrator(
    console: Browser, provider: IdentityProvider, api: Api, rows: Connection
) -> None:
    provider.claims |= {"sub": "gone", "name": "Gia", "groups": ["staff"]}
    console.get(begin(console))
    people = api.get("/v1/people").json()["data"]
    (person,) = [one for one in people if one["subject"] == "gone"]
    assert (person["name"], person["account"], person["sessions"]) == ("Gia", "shop", 1)
    before = newest(rows)

    path = f"/v1/people/{person['id']}/sign-out"
    assert api.post(path).json() == {"id": person["id"], "ended": 1}

    ended = "the session to end in another API process"
    wait_until(lambda: console.get("/console").status_code == 303, DEADLINE_S, ended)
    detail = {"person": person["id"], "account": person["account"], "sessions": 1}
    entry = ("person.signed_out", detail)
    assert entry in rows.execute(ENTRIES, (before,)).fetchall()
    assert api.post(path).json()["ended"] == 0


def test_an_accounts_administrator_signs_out_its_own_people_and_no_operator(
    console: Browser, provider: IdentityProvider, api: Api, rows: Connection
) -> None:
    provider.claims["sub"] = "chief"
    console.get(begin(console))
    (person,) = rows.execute("SELECT id FROM console_people WHERE subject = 'chief'").fetchall()
    path = f"/v1/people/{person[0]}/sign-out"
    with contextlib.closing(api.as_(create_key(rows, "shop", ("admin",)).key)) as administrator:
        assert administrator.post(path).status_code == 403
        listed = administrator.get("/v1/people").json()["data"]
        assert {one["account"] for one in listed} == {"shop"}
    with contextlib.closing(api.as_(create_key(rows, "default", ("admin",)).key)) as stranger:
        assert stranger.post(path).status_code == 404
    assert console.get("/console").status_code == 200


def test_a_code_works_once(console: Browser, provider: IdentityProvider) -> None:
    way_back = begin(console)
    cookies = dict(console.http.cookies)
    assert console.get(way_back).status_code == 303
    console.http.cookies.clear()
    refused(console.get(way_back), 401, "not begun in this browser")
    kept = "; ".join(f"{name}={value}" for name, value in cookies.items())
    refused(console.get(way_back, headers={"Cookie": kept}), 401, "was used before")


def test_a_state_works_once_even_if_the_provider_takes_a_code_twice(
    console: Browser, provider: IdentityProvider
) -> None:
    provider.codes_last = True
    way_back = begin(console)
    kept = "; ".join(f"{name}={value}" for name, value in console.http.cookies.items())
    assert console.get(way_back).status_code == 303
    console.http.cookies.clear()
    refused(console.get(way_back, headers={"Cookie": kept}), 401, "was completed before")


def test_a_way_back_that_another_browser_began_signs_nobody_in(
    console: Browser, provider: IdentityProvider, running: tuple[IdentityProvider, str, str]
) -> None:
    """Otherwise a link could sign somebody in as the attacker (login CSRF)."""
    with contextlib.closing(Browser(running[1])) as attacker:
        way_back = begin(attacker)
        refused(console.get(way_back), 401, "not begun in this browser")
        own = dict(parse_qsl(urlsplit(begin(console)).query))
        theirs = dict(parse_qsl(urlsplit(way_back).query))
        mixed = console.get("/console/sign-in/callback", params=own | {"code": theirs["code"]})
        refused(mixed, 401, "was used before, or took too long")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"code": "x"}, "not begun"),
        ({"code": "x", "state": "é"}, "not begun"),
        ({"code": "x", "state": "A" * 43}, "not begun"),
        ({}, "not begun"),
    ],
    ids=str,
)
def test_a_way_back_without_a_known_state_is_refused(
    console: Browser, provider: IdentityProvider, query: dict[str, str], text: str
) -> None:
    refused(console.get("/console/sign-in/callback", params=query), 401, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"error": "access_denied", "error_description": "sentinel"}, "did not let you in"),
        ({"error": "<b>sentinel</b>"}, "answered with an error"),
        ({"code": ""}, "has no code"),
        ({"code": "x" * 5000}, "has no code"),
        ({"code": "a\x00b"}, "has no code"),
        ({"iss": "https://login.invalid"}, "Another identity provider"),
        ({"iss": None}, "Another identity provider"),
    ],
    ids=str,
)
def test_an_answer_of_the_provider_that_is_no_code_is_refused(
    console: Browser, provider: IdentityProvider, query: dict[str, Any], text: str
) -> None:
    came = dict(parse_qsl(urlsplit(begin(console)).query)) | query
    sent = {name: value for name, value in came.items() if value is not None}
    answer = console.get("/console/sign-in/callback", params=sent)
    refused(answer, 401, text)
    assert "sentinel" not in answer.text


def test_refusals_are_entries_of_the_audit_log(
    console: Browser, provider: IdentityProvider, api: Api
) -> None:
    def logged() -> bool:
        refused(console.get("/console/sign-in/callback"), 401, "not begun")
        entry = api.get("/v1/audit?limit=1").json()["data"][0]
        return (entry["action"], entry["person"], entry["detail"]) == (
            "session.refused",
            "",
            {"reason": "not_begun_here"},
        )

    wait_until(logged, DEADLINE_S, "an entry: there is one a second at most")


def test_the_request_to_the_provider_has_all_that_protects_it(
    console: Browser, provider: IdentityProvider
) -> None:
    sent = console.get("/console/sign-in/provider")
    query = {
        name: one[0] for name, one in parse_qs(urlsplit(sent.headers["location"]).query).items()
    }
    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256"
    assert len({query["state"], query["nonce"], query["code_challenge"]}) == 3
    assert CLIENT_SECRET not in sent.headers["location"]
    (cookie,) = sent.headers.get_list("set-cookie")
    assert re.search(r"HttpOnly.*Max-Age=600.*SameSite=lax", cookie)
    assert query["state"] not in cookie
    assert query["nonce"] not in cookie


def test_another_address_of_the_console_says_which_one_to_open(
    console: Browser, provider: IdentityProvider
) -> None:
    answer = console.get("/console/sign-in/provider", headers={"Host": "localhost:1"})
    refused(answer, 400, f"open the console at {console.url}/console")


def test_a_person_who_is_signed_in_goes_on(console: Browser, provider: IdentityProvider) -> None:
    console.get(begin(console))
    for path in ("/console/sign-in/provider", "/console/sign-in"):
        assert console.get(f"{path}?next=/console/jobs").headers["location"] == "/console/jobs"
