"""The setting that names the operator's own checks."""

import json

import pytest

from tierline.base.custom_checks import parse_custom_checks
from tierline.base.errors import UsageError
from tierline.base.settings import settings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_a_check_is_a_function_or_a_server() -> None:
    checks = parse_custom_checks(
        json.dumps(
            {
                "vat": {"python": "acme-vat", "timeout_s": 2},
                "stock": {"url": "https://stock.example.com/check", "secret": SECRET},
            }
        )
    )
    assert (checks["vat"].python, checks["vat"].timeout_s) == ("acme-vat", 2.0)
    assert (checks["stock"].url, checks["stock"].timeout_s) == (
        "https://stock.example.com/check",
        5.0,
    )
    assert SECRET not in repr(checks)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"Vat": {"python": "a"}}', "name has small letters"),
        ('{"vat": {}}', "needs either"),
        ('{"vat": {"python": "a", "url": "https://x"}}', "needs either"),
        ('{"vat": {"url": "ftp://hunter2"}}', "url must be an address"),
        ('{"vat": {"url": "https://a:hunter2@b.example"}}', "must not contain a password"),
        ('{"vat": {"url": "https://x.example"}}', "needs a secret"),
        ('{"vat": {"python": "a", "timeout_s": 500}}', "0.1 to 60 s"),
        ('{"vat": {"python": "a", "secret": "hunter2"}}', "with a url"),
        ('{"vat": {"python": "a", "path": "x"}}', "must be an object with"),
    ],
)
def test_a_mistake_names_the_check_and_repeats_no_value(
    given: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERLINE_CHECKS", given)
    settings.cache_clear()
    with pytest.raises(UsageError, match=r"TIERLINE_CHECKS: ") as caught:
        settings()
    settings.cache_clear()
    assert message in caught.value.message
    assert "hunter2" not in caught.value.message
