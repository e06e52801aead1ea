"""Settings from an environment variable that does not fit."""

import pytest

from tierline.base.errors import UsageError
from tierline.base.settings import settings


def refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> UsageError:
    """The error of the settings with this value of the environment variable `name`."""
    monkeypatch.setenv(name, value)
    settings.cache_clear()
    try:
        with pytest.raises(UsageError) as raised:
            settings()
    finally:
        monkeypatch.delenv(name)
        settings.cache_clear()
    return raised.value
