"""Which ID tokens are accepted. Each case is a token of real keys."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from tierline.openid.id_token import Expected, read_keys, verified_claims
from tierline.openid.refusals import InvalidToken

NOW_S = 1_800_000_000.0
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa"})
PUBLIC: dict[str, Any] = {"keys": [RSA.as_dict(private=False), EC.as_dict(private=False)]}
KEYS = read_keys(PUBLIC)
EXPECTED = Expected("https://login.invalid", "tierline", "the nonce", "the access token")
CLAIMS: dict[str, Any] = {
    "iss": "https://login.invalid",
    "aud": "tierline",
    "sub": "7",
    "iat": NOW_S - 5,
    "exp": NOW_S + 300,
    "nonce": "the nonce",
}


def signed(claims: object, key: Any = RSA, alg: str = "RS256", **header: Any) -> str:
    protected = {"alg": alg, "kid": key.kid} | header
    names = {name: value for name, value in protected.items() if value is not None}
    registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    return jws.serialize_compact(names, json.dumps(claims), key, [alg], registry)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def reason(token: str, keys: Any = KEYS, expected: Expected = EXPECTED) -> str:
    with pytest.raises(InvalidToken) as refused:
        verified_claims(token, keys, expected, NOW_S)
    assert "the nonce" not in refused.value.text
    return refused.value.reason


def at_hash(token: str) -> str:
    half = hashlib.sha256(token.encode()).digest()[:16]
    return base64.urlsafe_b64encode(half).decode().rstrip("=")


@pytest.mark.parametrize(
    ("key", "alg"), [(RSA, "RS256"), (RSA, "PS256"), (RSA, "RS512"), (EC, "ES256")]
)
@pytest.mark.parametrize("named", [True, False])
def test_a_token_of_one_of_the_providers_keys_is_accepted(key: Any, alg: str, named: bool) -> None:
    token = signed(CLAIMS, key, alg, kid=key.kid if named else None, x5t="of a certificate")
    assert verified_claims(token, KEYS, EXPECTED, NOW_S) == CLAIMS


@pytest.mark.parametrize(
    "more",
    [
        {"exp": NOW_S - 29},
        {"iat": NOW_S + 29},
        {"nbf": NOW_S + 29},
        {"aud": ["tierline"]},
        {"aud": ["tierline", "another"], "azp": "tierline"},
        {"at_hash": at_hash("the access token")},
    ],
    ids=str,
)
def test_small_differences_of_clocks_and_lists_are_accepted(more: dict[str, Any]) -> None:
    assert verified_claims(signed(CLAIMS | more), KEYS, EXPECTED, NOW_S) == CLAIMS | more


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"iss": "https://login.invalid/"}, "wrong_issuer"),
        ({"iss": None}, "wrong_issuer"),
        ({"aud": "another"}, "wrong_audience"),
        ({"aud": []}, "wrong_audience"),
        ({"aud": None}, "wrong_audience"),
        ({"aud": ["tierline", "another"]}, "wrong_audience"),
        ({"azp": "another"}, "wrong_audience"),
        ({"sub": ""}, "no_subject"),
        ({"sub": 7}, "no_subject"),
        ({"sub": "x" * 256}, "no_subject"),
        ({"exp": NOW_S - 30}, "token_expired"),
        ({"iat": NOW_S - 601}, "token_expired"),
        ({"exp": str(NOW_S + 300)}, "no_time"),
        ({"exp": True}, "no_time"),
        ({"iat": None}, "no_time"),
        ({"iat": NOW_S + 31}, "token_too_early"),
        ({"nbf": NOW_S + 31}, "token_too_early"),
        ({"nonce": "another"}, "wrong_nonce"),
        ({"nonce": None}, "wrong_nonce"),
        ({"at_hash": at_hash("another access token")}, "wrong_at_hash"),
        ({"at_hash": 7}, "wrong_at_hash"),
    ],
    ids=str,
)
def test_a_claim_that_does_not_fit_is_refused(more: dict[str, Any], why: str) -> None:
    assert reason(signed(CLAIMS | more)) == why


def test_an_access_tokens_hash_needs_the_access_token() -> None:
    token = signed(CLAIMS | {"at_hash": at_hash("the access token")})
    alone = Expected(EXPECTED.issuer, EXPECTED.client_id, EXPECTED.nonce, None)
    assert reason(token, expected=alone) == "wrong_at_hash"


def test_an_unsigned_token_is_refused() -> None:
    for alg in ("none", "None", "NONE", "", 7, None):
        assert reason(f"{part({'alg': alg})}.{part(CLAIMS)}.") in (
            "algorithm_refused",
            "token_unreadable",
        )


def test_a_public_key_is_never_taken_for_a_secret() -> None:
    content = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{part(CLAIMS)}"
    mac = hmac.digest(RSA.as_pem(private=False), content.encode(), "sha256")
    signature = base64.urlsafe_b64encode(mac).decode().rstrip("=")
    assert reason(f"{content}.{signature}") == "algorithm_refused"


def test_a_key_that_the_provider_does_not_have_asks_for_its_keys_again() -> None:
    with pytest.raises(InvalidToken) as refused:
        verified_claims(signed(CLAIMS, STRANGER), KEYS, EXPECTED, NOW_S)
    assert (refused.value.reason, refused.value.other_keys) == ("wrong_signature", True)
    assert reason(signed(CLAIMS, kid="unknown")) == "wrong_signature"


def test_a_key_verifies_only_what_it_is_for() -> None:
    for more in ({"use": "enc"}, {"alg": "PS256"}):
        only = read_keys({"keys": [RSA.as_dict(private=False) | more]})
        assert reason(signed(CLAIMS), only) == "wrong_signature"


def test_a_changed_token_is_refused() -> None:
    header, _, signature = signed(CLAIMS).split(".")
    other = signed(CLAIMS | {"sub": "8"}).split(".")[1]
    assert reason(f"{header}.{other}.{signature}") == "wrong_signature"


@pytest.mark.parametrize(
    "token", ["", "..", "a.b.c", "é.é.é", "a.b", "a.b.c.d.e", "x" * 70_000, "{}.{}.{}"]
)
def test_what_is_no_signed_token_is_refused(token: str) -> None:
    assert reason(token) in ("token_unreadable", "algorithm_refused")


def test_a_header_that_must_be_understood_is_refused() -> None:
    _, claims, signature = signed(CLAIMS).split(".")
    critical = {"alg": "RS256", "crit": ["x-own"], "x-own": 1}
    assert reason(f"{part(critical)}.{claims}.{signature}") == "token_unreadable"


@pytest.mark.parametrize("claims", [[], "text", 7, None])
def test_claims_that_are_no_object_are_refused(claims: object) -> None:
    assert reason(signed(claims)) == "token_unreadable"


@pytest.mark.filterwarnings("ignore:Key size should be")
def test_keys_that_cannot_be_used_are_left_out() -> None:
    weak = RSAKey.generate_key(1024, {"kid": "weak"}).as_dict(private=False)
    unfit = [{}, 7, {"kty": "RSA"}, {"kty": "oct", "k": "AAAA"}, {"kty": "AKP", "pub": "x"}, weak]
    assert read_keys({"keys": [*unfit, *PUBLIC["keys"]]}) == KEYS
    for wrong in ({}, {"keys": {}}, {"keys": [{}] * 51}):
        with pytest.raises(ValueError, match="is no JWK Set"):
            read_keys(wrong)
