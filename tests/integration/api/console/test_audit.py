"""The log of what people did, as a page and over REST."""

from typing import Any

import psycopg

from tests.support.api.browser import SignIn, text_of
from tests.support.api.served import Api

Connection = psycopg.Connection[Any]


def test_signing_in_and_out_are_entries(signed_in: SignIn, api: Api) -> None:
    browser = signed_in("admin")
    browser.post("/console/sign-out")
    newest = api.get("/v1/audit?limit=2").json()["data"]
    assert [one["action"] for one in newest] == ["session.ended", "session.began"]
    assert newest[0]["key_id"] == newest[1]["key_id"]


def test_an_administrator_sees_its_accounts_entries_and_an_operator_all(
    signed_in: SignIn, api: Api, other: Api, rows: Connection
) -> None:
    job = str(api.submit(text="a secret input")["id"])
    signed_in("read").post(f"/console/jobs/{job}/content")
    signed_in("read", account="other").get("/console")
    own = signed_in("admin").get("/console/audit")
    assert "looked at input and output" in text_of(own)
    assert job in own.text
    assert "a secret input" not in own.text
    accounts = {one["account"] for one in api.get("/v1/audit").json()["data"]}
    assert accounts == {"default", "other"}
    theirs = text_of(signed_in("admin", account="other").get("/console/audit"))
    assert "looked at" not in theirs
    assert "Account" in text_of(signed_in("operator").get("/console/audit"))


def test_the_log_is_read_in_pages_without_a_gap(signed_in: SignIn, api: Api) -> None:
    for _ in range(3):
        signed_in("read").post("/console/sign-out")
    whole = [one["id"] for one in api.get("/v1/audit?limit=200").json()["data"]]
    first = api.get("/v1/audit?limit=2").json()
    second = api.get("/v1/audit", params={"limit": "2", "cursor": first["next_cursor"]}).json()
    assert [one["id"] for one in first["data"] + second["data"]] == whole[:4]
    assert api.get("/v1/audit?cursor=x").status_code == 422
