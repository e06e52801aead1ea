"""Signatures, against the specification's vector and its own library."""

from base64 import b64decode
from datetime import UTC, datetime, timedelta, timezone

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tierline.webhooks.sign import new_secret, signed_headers

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
VECTOR_BODY = b'{"test": 2432232314}'
VECTOR_AT = datetime.fromtimestamp(1614265330, UTC)
VECTOR_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_reference_vector_is_met() -> None:
    assert signed_headers(VECTOR_ID, VECTOR_BODY, VECTOR_AT, SECRET) == {
        "webhook-id": VECTOR_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": VECTOR_SIGNATURE,
    }


def test_a_time_in_another_zone_signs_the_same_moment() -> None:
    elsewhere = VECTOR_AT.astimezone(timezone(timedelta(hours=5, minutes=30)))

    headers = signed_headers(VECTOR_ID, VECTOR_BODY, elsewhere, SECRET)

    assert headers["webhook-signature"] == VECTOR_SIGNATURE
    assert headers["webhook-timestamp"] == "1614265330"


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        signed_headers(VECTOR_ID, VECTOR_BODY, datetime(2026, 1, 1), SECRET)  # noqa: DTZ001


def test_a_receiver_with_either_secret_can_verify_during_the_overlap() -> None:
    old, new = new_secret(), new_secret()
    headers = dict(signed_headers("msg_1", VECTOR_BODY, datetime.now(UTC), new, old))

    assert Webhook(old).verify(VECTOR_BODY, headers) == {"test": 2432232314}
    assert Webhook(new).verify(VECTOR_BODY, headers) == {"test": 2432232314}
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(VECTOR_BODY, headers)


def test_bytes_beyond_ascii_are_signed_as_they_are() -> None:
    body = '{"note": "größer…"}'.encode()
    secret = new_secret()

    headers = dict(signed_headers("msg_1", body, datetime.now(UTC), secret))

    assert Webhook(secret).verify(body, headers) == {"note": "größer…"}


def test_a_new_secret_has_192_random_bits() -> None:
    one, other = new_secret(), new_secret()

    assert one != other
    assert one.startswith("whsec_")
    assert len(b64decode(one.removeprefix("whsec_"))) == 24
