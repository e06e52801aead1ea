"""A provider without its settings: the error names what is missing, once, and where it belongs."""

from collections.abc import Callable

import pytest

from tests.unit.providers.test_bad_input import FORMATS
from tierline.base.settings import Settings
from tierline.features import ModelRef
from tierline.features.prompts import Message
from tierline.providers.types import CallFailed, CompletionRequest, Provider
from tierline.rules.causes import Cause


@pytest.mark.parametrize(("make", "settings"), FORMATS.values(), ids=FORMATS)
def test_what_is_missing_is_named_once_with_where_to_set_it(
    make: Callable[[Settings], Provider],
    settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _, given in FORMATS.values():
        for name in given:
            monkeypatch.delenv(name, raising=False)
    provider = make(Settings())
    request = CompletionRequest(
        model=ModelRef("any", "small"),
        messages=[Message("user", "What is it?")],
        max_tokens=50,
        temperature=0.0,
        timeout_s=30.0,
    )
    with pytest.raises(CallFailed) as raised:
        provider.complete(request)
    missing = provider.missing()
    assert missing is not None
    assert raised.value.cause is Cause.NOT_CONFIGURED
    assert raised.value.reason == f"{missing}: set it in the environment of the workers"
    assert any(name in missing for name in settings)
