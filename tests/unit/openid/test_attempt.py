"""What the browser keeps of a sign-in on its way cannot be forged, reused for long, or read."""

import base64
import hashlib

import pytest

from tierline.openid.attempt import STATE, begin_attempt, read_attempt, signing_key, tag_of

KEY = signing_key("a client secret")
NOW_S = 1_800_000_000.0


def test_another_process_with_the_same_secret_completes_a_sign_in() -> None:
    begun = begin_attempt(KEY, NOW_S, "/console/jobs?tier=2")
    read = read_attempt(begun.cookie(), signing_key("a client secret"), NOW_S + 599)
    assert read == begun
    assert read.then == "/console/jobs?tier=2"
    assert (read.state, read.nonce, read.verifier) == (begun.state, begun.nonce, begun.verifier)


def test_state_nonce_and_verifier_differ_and_the_cookie_tells_none_of_them() -> None:
    begun = begin_attempt(KEY, NOW_S, "/console")
    derived = {begun.state, begun.nonce, begun.verifier, begun.challenge}
    assert len(derived) == 4
    assert all(STATE.fullmatch(one) and one not in begun.cookie() for one in derived)
    digest = hashlib.sha256(begun.verifier.encode()).digest()
    assert begun.challenge == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert begin_attempt(KEY, NOW_S, "/console").state != begun.state
    assert tag_of(begun.state) not in begun.state


def test_what_is_derived_from_an_attempt_signs_no_cookie() -> None:
    begun = begin_attempt(KEY, NOW_S, "/console")
    assert read_attempt(f"state:{begun.value}.{begun.state}", KEY, NOW_S) is None


@pytest.mark.parametrize("passed_s", [601, -61])
def test_an_attempt_is_over_after_its_time(passed_s: float) -> None:
    assert (
        read_attempt(begin_attempt(KEY, NOW_S, "/console").cookie(), KEY, NOW_S + passed_s) is None
    )


def test_a_cookie_that_was_changed_or_signed_elsewhere_is_none() -> None:
    cookie = begin_attempt(KEY, NOW_S, "/console").cookie()
    value, began, then, signature = cookie.split(".")
    for forged in (
        "",
        "....",
        "é.1.2.3",
        cookie[:-1],
        cookie + "." * 4000,
        f"{value}.{int(began) + 1}.{then}.{signature}",
        f"{value}.{began}.{'A' * 8}.{signature}",
        begin_attempt(signing_key("another"), NOW_S, "/console").cookie(),
    ):
        assert read_attempt(forged, KEY, NOW_S) is None, forged
