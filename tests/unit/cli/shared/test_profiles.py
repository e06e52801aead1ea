"""The config file: read strictly, written privately, and found by XDG's rules."""

from pathlib import Path

import pytest

from tierline.base.errors import UsageError
from tierline.cli.shared.client import find
from tierline.cli.shared.profiles import (
    Config,
    Profile,
    chosen,
    config_path,
    profile_named,
    read_config,
    store_profile,
)

STAGING = Profile("https://staging.invalid", "tl_staging")
LIVE = Profile("https://live.invalid", 'tl_"live\\')


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("TIERLINE_URL", "TIERLINE_API_KEY", "TIERLINE_PROFILE", "TIERLINE_HOME"):
        monkeypatch.delenv(name, raising=False)
    chosen.set(None)
    return tmp_path


def written(text: str) -> Path:
    path = config_path()
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_what_is_stored_is_read_again_and_the_first_is_the_default() -> None:
    assert read_config() is None
    path = store_profile("staging", STAGING, default=False)
    assert path.stat().st_mode & 0o777 == 0o600
    store_profile("live", LIVE, default=False)
    assert read_config() == Config("staging", {"staging": STAGING, "live": LIVE})
    store_profile("live", STAGING, default=True)
    assert read_config() == Config("live", {"staging": STAGING, "live": STAGING})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("profile = = 3", "line 1"),
        ("colour = 1", "colour is not a known key"),
        ("[profiles.a]\nurl = 'https://x.invalid'", "profiles.a needs api_key"),
        ("[profiles.a]\nurl = 7\napi_key = 'k'", "profiles.a needs url"),
        ("[profiles.a]\nurl = 'u'\napi_key = 'k'\nkey = 1", "profiles.a.key is not a known key"),
        ("profiles = 3", "profiles must be tables"),
        ("profile = 3", "profile must be the name"),
    ],
)
def test_a_file_that_is_not_right_is_refused_with_its_path_and_the_place(
    text: str, words: str
) -> None:
    path = written(text)
    with pytest.raises(UsageError, match=words) as refused:
        read_config()
    assert refused.value.message.startswith(str(path))


def test_a_file_that_others_may_read_is_refused() -> None:
    written("").chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        read_config()


def test_a_profile_that_does_not_exist_names_those_that_do() -> None:
    store_profile("staging", STAGING, default=False)
    with pytest.raises(UsageError, match=r"no profile 'live' .*\(there: staging\).*tierline login"):
        profile_named("live")
    with pytest.raises(UsageError, match="letters, digits"):
        store_profile("a b", STAGING, default=False)


def test_the_first_name_of_a_server_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    store_profile("staging", STAGING, default=False)
    store_profile("live", LIVE, default=False)
    assert find().url == STAGING.url
    monkeypatch.setenv("TIERLINE_PROFILE", "live")
    assert (find().url, find().key) == (LIVE.url, LIVE.api_key)
    monkeypatch.setenv("TIERLINE_URL", "https://named.invalid")
    monkeypatch.setenv("TIERLINE_API_KEY", "k")
    assert find().url == "https://named.invalid"
    chosen.set("staging")
    assert find().url == STAGING.url


def test_a_home_that_is_set_goes_before_the_default_profile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store_profile("staging", STAGING, default=False)
    monkeypatch.setenv("TIERLINE_HOME", str(tmp_path / "none"))
    with pytest.raises(Exception, match="no 'tierline up' runs on"):
        find()


def test_no_words_about_a_profile_have_its_key() -> None:
    assert "tl_staging" not in repr(STAGING)
