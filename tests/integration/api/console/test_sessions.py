"""Sessions of the console: how they begin and end, and which forms are accepted."""

import re
from typing import Any

import psycopg
import pytest

from api.app import CONSOLE_ROUTES
from tests.support.api.browser import Browser, SignIn, text_of
from tests.support.api.served import Api
from tests.support.waiting import DEADLINE_S, wait_until
from tierline.services.accounts.accounts import create_key, revoke_key

Connection = psycopg.Connection[Any]
ROUTES = [route for module in CONSOLE_ROUTES for route in module.router.routes]
WITH_A_FILE = "/console/batches/new"  # test_batches.py sends it
OPENID = {"/console/sign-in/provider", "/console/sign-in/callback"}  # test_openid.py
OPEN = OPENID | {"/console/sign-in", "/console/static/{version}/{name}", "/console/{path:path}"}
JOB = "01a1f2b0-0000-7000-8000-000000000000"


def with_values(path: str) -> str:
    """The path with a value for each of its parameters."""
    named = path.replace("{name}", "echo").replace("{number}", "1")
    return re.sub(r"\{[a-z]+_id\}", JOB, named)


def paths(method: str) -> list[str]:
    """The console's routes with that method."""
    return [
        with_values(route.path)
        for route in ROUTES
        if method in route.methods and route.path not in OPEN
    ]


def test_a_key_that_may_read_signs_in_and_its_session_is_a_cookie_that_scripts_cannot_read(
    stranger: Browser, rows: Connection, api: Api
) -> None:
    key = create_key(rows, "default", ("read",)).key

    answer = stranger.sign_in(key, "/console")

    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    (cookie,) = [c for c in answer.headers.get_list("set-cookie") if "tls_" in c]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/console" in cookie
    assert "Secure" not in cookie, "loopback has no TLS"
    assert key not in cookie
    page = stranger.get("/console")
    assert page.status_code == 200
    assert "default" in text_of(page)


def test_the_cookie_is_secure_on_every_other_host(stranger: Browser) -> None:
    host = {"Host": "tierline.example.com"}
    answer = stranger.get("/console/sign-in", headers=host)

    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-tierline_sign_in=")
    assert "Secure" in cookie
    assert "Path=/;" in cookie
    assert "plain HTTP" in text_of(answer)


def test_only_the_digest_of_a_sessions_token_is_stored(signed_in: SignIn, rows: Connection) -> None:
    browser = signed_in("read")
    (token,) = [value for name, value in browser.http.cookies.items() if "sign_in" not in name]
    stored = rows.execute("SELECT digest FROM console_sessions").fetchall()
    assert token.startswith("tls_")
    assert token.encode() not in [bytes(digest) for (digest,) in stored]  # type: ignore[call-overload]


@pytest.mark.parametrize("key", ["", "tl_short", "tl_" + "x" * 43, "é" * 50, "tl_\x00" + "x" * 40])
def test_a_wrong_key_gets_the_form_again_and_no_session(stranger: Browser, key: str) -> None:
    answer = stranger.sign_in(key)
    assert answer.status_code == 401
    assert "unknown, expired or revoked" in text_of(answer)
    assert not [c for c in answer.headers.get_list("set-cookie") if "tls_" in c]


def test_a_key_that_may_not_read_is_refused_with_what_it_lacks(
    stranger: Browser, rows: Connection
) -> None:
    answer = stranger.sign_in(create_key(rows, "default", ("submit",)).key)
    assert answer.status_code == 403
    assert "scope 'read'" in text_of(answer)


def test_each_page_asks_strangers_to_sign_in(stranger: Browser) -> None:
    for path in paths("GET"):
        answer = stranger.get(path)
        assert answer.status_code == 303, path
        assert answer.headers["location"] == f"/console/sign-in?next={path}"
        in_the_background = stranger.get(path, headers={"Sec-Fetch-Mode": "cors"})
        assert in_the_background.status_code == 401, path


@pytest.mark.parametrize("token", ["tls_" + "x" * 43, "tl_" + "x" * 43, "", "x" * 5000])
def test_a_forged_session_opens_no_page(stranger: Browser, token: str, api_url: str) -> None:
    port = api_url.rpartition(":")[2]
    for path in paths("GET"):
        answer = stranger.get(path, headers={"Cookie": f"tierline_{port}={token}"})
        assert answer.status_code == 303, path


def test_the_session_of_a_revoked_key_ends_on_each_page(
    stranger: Browser, rows: Connection, api: Api
) -> None:
    made = create_key(rows, "default", ("submit", "read"))
    assert stranger.sign_in(made.key).status_code == 303
    assert stranger.get("/console").status_code == 200

    revoke_key(rows, made.row["id"])

    wait_until(lambda: stranger.get("/console").status_code == 303, DEADLINE_S, "the session's end")
    for path in paths("GET"):
        assert stranger.get(path).status_code == 303, path


def test_a_session_ends_after_its_time(signed_in: SignIn, rows: Connection) -> None:
    browser = signed_in("read")
    rows.execute("UPDATE console_sessions SET expires_at = clock_timestamp()")
    wait_until(lambda: browser.get("/console").status_code == 303, DEADLINE_S, "the session's end")
    signed_in("read")
    left = rows.execute(
        "SELECT count(*) FROM console_sessions WHERE expires_at < clock_timestamp()"
    ).fetchone()
    assert left == (0,), "signing in removes those that are over"


def test_signing_out_ends_the_session_at_once(signed_in: SignIn) -> None:
    browser = signed_in("read")
    cookies = dict(browser.http.cookies)
    answer = browser.post("/console/sign-out")
    assert answer.headers["location"] == "/console/sign-in"
    assert browser.get("/console").status_code == 303
    again = "; ".join(f"{name}={value}" for name, value in cookies.items())
    assert browser.get("/console", headers={"Cookie": again}).status_code == 303


@pytest.mark.parametrize(
    "sent",
    [
        {"token": ""},
        {"token": "0" * 64},
        {"token": "é"},
        {"origin": None},
        {"origin": "null"},
        {"origin": "https://evil.example.com"},
        {"origin": "same", "headers": {"Sec-Fetch-Site": "cross-site"}},
        {"origin": "same", "headers": {"Sec-Fetch-Site": "same-site"}},
    ],
    ids=str,
)
def test_a_form_that_no_page_of_the_session_sent_is_refused(
    signed_in: SignIn, sent: dict[str, str]
) -> None:
    browser = signed_in("operator")
    if "token" not in sent:  # that of the session, as one of its pages has it
        sent = {**sent, "token": browser.token()}
    for path in (*paths("POST"), "/console/sign-in"):
        if path != WITH_A_FILE:
            answer = browser.post(path, **sent)  # type: ignore[arg-type]
            assert answer.status_code == 403, (path, answer.text)
    assert browser.get("/console").status_code == 200, "the session is still there"


def test_the_form_token_of_another_session_is_refused(signed_in: SignIn) -> None:
    mine, others = signed_in("operator"), signed_in("operator")
    assert mine.post("/console/sign-out", token=others.token()).status_code == 403


@pytest.mark.parametrize(
    ("then", "goes_to"),
    [
        ("/console/x?a=b", "/console/x?a=b"),
        ("https://evil.example.com/", "/console"),
        ("//evil.example.com/console", "/console"),
        ("/console/..//evil\\x", "/console"),
        ("/consoles", "/console"),
        ("/v1/jobs", "/console"),
        ("/console/x\r\nSet-Cookie: a=b", "/console"),
    ],
)
def test_signing_in_leads_to_a_page_of_the_console_only(
    stranger: Browser, rows: Connection, then: str, goes_to: str
) -> None:
    token = stranger.token("/console/sign-in")
    key = create_key(rows, "default", ("read",)).key
    answer = stranger.post("/console/sign-in", {"key": key, "next": then}, token=token)
    assert answer.headers["location"] == goes_to


def test_every_page_has_a_strict_policy_and_nothing_inline_or_from_elsewhere(
    signed_in: SignIn, stranger: Browser
) -> None:
    operator = signed_in("operator")
    for path in ("/console/sign-in", *paths("GET"), "/console/nothing-here"):
        browser = stranger if path == "/console/sign-in" else operator
        answer = browser.get(path, headers={"Last-Event-ID": "x"})  # a stream would not end
        assert answer.headers["content-type"].startswith("text/html"), path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert "unsafe" not in policy, path
        assert answer.headers["cache-control"] == "no-store", path
        assert answer.headers["x-frame-options"] == "DENY", path
        inline = r"<script(?![^>]*\ssrc=)|\sstyle=|\son[a-z]+=|javascript:"
        assert not re.search(inline, answer.text), path
        assert not re.search(r'(?:src|href|action)="(?!/console|#)', answer.text), path


def test_files_are_kept_by_browsers_under_a_url_that_changes_with_them(stranger: Browser) -> None:
    paths = set(re.findall(r'"(/console/static/[^"]+)"', stranger.get("/console/sign-in").text))
    assert paths
    for url in paths:
        answer = stranger.get(url)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        other = stranger.get(re.sub(r"static/[0-9a-f]+/", "static/0123/", url))
        assert other.headers["cache-control"] == "no-cache"
    assert stranger.get("/console/static/0123/..%2Fpages.py").status_code != 200
    assert stranger.get("/console/static/0123/no.js").status_code == 404


def test_an_unknown_page_says_so_in_the_console(signed_in: SignIn) -> None:
    answer = signed_in("read").get("/console/nothing-here")
    assert answer.status_code == 404
    assert "text/html" in answer.headers["content-type"]
