"""Verifying ID tokens: OpenID Connect Core 1.0, section 3.1.3.7.

The library verifies signatures. Which algorithms, keys and claims are accepted is decided here.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tierline.base.json_text import JSON, NotJson, parse_json
from tierline.openid.refusals import InvalidToken

if TYPE_CHECKING:  # a process without an identity provider does not load the library
    from joserfc.jwk import Key
    from joserfc.jws import CompactSignature, JWSRegistry

HASHES: Mapping[str, str] = {
    "RS256": "sha256",
    "RS384": "sha384",
    "RS512": "sha512",
    "PS256": "sha256",
    "PS384": "sha384",
    "PS512": "sha512",
    "ES256": "sha256",
    "ES384": "sha384",
    "ES512": "sha512",
}
"""The algorithms that are accepted, with the hash of `at_hash`. All have a public key: `none` is no
signature, and with HS256 a public key could be taken for a secret."""

KEY_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC"}
LEEWAY_S = 30  # between the provider's clock and this one
MOST_AGE_S = 600  # of a token that was just issued
MOST_TOKEN = 64 * 1024  # characters
MOST_HEADER = 8 * 1024  # bytes; some providers send a chain of certificates
MOST_KEYS = 50
MOST_DEPTH = 20
MOST_SUBJECT = 255  # characters (Core, section 2)
MIN_RSA_BITS = 2048


@dataclass(frozen=True)
class Expected:
    """What an ID token must say."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str | None = field(repr=False)  # it came with it: `at_hash` is of this token


def read_keys(key_set: Mapping[str, JSON]) -> tuple["Key", ...]:
    """The keys of a JWK Set (RFC 7517) that may sign. Those that cannot be read are left out.

    Raises ValueError if it is no JWK Set.
    """
    from joserfc.errors import JoseError
    from joserfc.jwk import import_key

    entries = key_set.get("keys")
    if not isinstance(entries, list) or len(entries) > MOST_KEYS:
        raise ValueError("is no JWK Set")
    keys = []
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
            continue
        if entry.get("kty") not in KEY_TYPES.values():
            continue
        try:
            key = import_key(entry)
            size = getattr(key.public_key, "key_size", 0)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if key.key_type != "RSA" or size >= MIN_RSA_BITS:
            keys.append(key)
    return tuple(keys)


def verified_claims(
    token: str, keys: tuple["Key", ...], expected: Expected, now_s: float
) -> Mapping[str, JSON]:
    """The claims of an ID token that is valid now. Raises InvalidToken."""
    algorithm, payload = _verified(token, keys)
    try:
        claims = parse_json(payload.decode(), MOST_DEPTH)
    except (UnicodeDecodeError, NotJson):
        raise InvalidToken("token_unreadable", "its claims cannot be read") from None
    if not isinstance(claims, dict):
        raise InvalidToken("token_unreadable", "its claims cannot be read")
    _check_parties(claims, expected)
    _check_times(claims, now_s)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not _same(nonce, expected.nonce):
        raise InvalidToken("wrong_nonce", "it belongs to another sign-in")
    _check_access_token(claims.get("at_hash"), algorithm, expected.access_token)
    return claims


def _verified(token: str, keys: tuple["Key", ...]) -> tuple[str, bytes]:
    """The algorithm and the payload of a token that one of the keys signed."""
    from joserfc.errors import JoseError
    from joserfc.jws import JWSRegistry, extract_compact

    if not token.isascii() or len(token) > MOST_TOKEN or token.count(".") != 2:
        raise InvalidToken("token_unreadable", "it is not a signed token")
    registry = JWSRegistry(algorithms=list(HASHES), strict_check_header=False)
    registry.max_header_length = MOST_HEADER
    try:
        signed = extract_compact(token.encode(), registry=registry)
        header = signed.headers()
        registry.check_header(header)
    except (JoseError, ValueError, TypeError):
        raise InvalidToken("token_unreadable", "it cannot be read") from None
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in HASHES:
        raise InvalidToken(
            "algorithm_refused", "it is not signed by one of the algorithms that are accepted"
        )
    for key in _candidates(keys, algorithm, header.get("kid")):
        if _signed_by(signed, key, algorithm, registry):
            return algorithm, signed.payload
    raise InvalidToken(
        "wrong_signature", "it is not signed by a key of the provider", other_keys=True
    )


def _candidates(keys: tuple["Key", ...], algorithm: str, kid: object) -> list["Key"]:
    """The keys that may have signed it. A token that names its key is verified by no other."""
    return [
        key
        for key in keys
        if key.key_type == KEY_TYPES[algorithm[:2]]
        and key.get("alg", algorithm) == algorithm
        and (kid is None or key.get("kid") in (None, kid))
    ]


def _signed_by(
    signed: "CompactSignature", key: "Key", algorithm: str, registry: "JWSRegistry"
) -> bool:
    from joserfc.errors import JoseError
    from joserfc.jws import validate_compact

    try:
        return validate_compact(signed, key, [algorithm], registry)
    except (JoseError, ValueError, TypeError):  # such as a key of another curve
        return False


def _check_parties(claims: Mapping[str, JSON], expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise InvalidToken("wrong_issuer", "another issuer made it")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    authorised = claims.get("azp", expected.client_id if len(audiences) == 1 else None)
    if expected.client_id not in audiences or authorised != expected.client_id:
        raise InvalidToken("wrong_audience", "it was made for another application")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= MOST_SUBJECT:
        raise InvalidToken("no_subject", "it does not say whose it is")


def _check_times(claims: Mapping[str, JSON], now_s: float) -> None:
    expires_s, issued_s = _seconds(claims.get("exp")), _seconds(claims.get("iat"))
    if expires_s is None or issued_s is None:
        raise InvalidToken("no_time", "it does not say when it was made and when it ends")
    if now_s >= expires_s + LEEWAY_S or now_s - issued_s > MOST_AGE_S:
        raise InvalidToken("token_expired", "it has expired. Compare the clocks of both servers")
    starts_s = _seconds(claims.get("nbf", issued_s))
    if starts_s is None or max(issued_s, starts_s) > now_s + LEEWAY_S:
        raise InvalidToken(
            "token_too_early", "it is not valid yet. Compare the clocks of both servers"
        )


def _check_access_token(at_hash: JSON, algorithm: str, access_token: str | None) -> None:
    """`at_hash` is the left half of the access token's hash (Core, section 3.1.3.6)."""
    if at_hash is None:
        return
    digest = hashlib.new(HASHES[algorithm], (access_token or "").encode()).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    if not isinstance(at_hash, str) or access_token is None or not _same(at_hash, half):
        raise InvalidToken("wrong_at_hash", "it belongs to another access token")


def _seconds(value: JSON) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
