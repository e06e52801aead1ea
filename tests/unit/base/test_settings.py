"""Settings that do not fit are named, told what to change, and never repeated."""

import pytest

from tests.support.settings import refused as refused_setting
from tierline.base.errors import UsageError
from tierline.base.network.model_urls import local_urls
from tierline.base.settings import Settings
from tierline.services.files.files import UPLOAD_S
from tierline.storage.db.engine import psycopg_url

SECRET = "hunter2"


def refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    message = refused_setting(monkeypatch, name, value).message
    assert SECRET not in message
    assert message.startswith(f"settings: {name}: ")
    return message


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "TIERLINE_LOCAL_URL"])
@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"https://user:{SECRET}@models.example.com/v1", "user name or password"),
        (f"https://{SECRET}@models.example.com/v1", "user name or password"),
        (f"https://models.example.com/v1?api-key={SECRET}", "must not contain"),
        (f"https://models.example.com/v1#{SECRET}", "must not contain"),
        (f"ftp://models.example.com/{SECRET}", "http://"),
        (f"file:///{SECRET}", "http://"),
        (f"https://models.example.com:{SECRET}/v1", "is not a URL"),
        (f"https://[{SECRET}/v1", "is not a URL"),
        (f"https:///{SECRET}", "http://"),
        (f"https://models.example.com/v1 {SECRET}", "a space"),
    ],
)
def test_a_model_server_that_is_not_a_plain_url_is_refused_without_repeating_it(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str, said: str
) -> None:
    assert any(word in refused(monkeypatch, name, url) for word in said.split("|"))


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "http://127.0.0.1:8080/v1",
        "http://[::1]:8080/v1/",
        "http://models",
    ],
)
def test_model_servers_may_be_anywhere_that_the_operator_says(url: str) -> None:
    config = Settings(OPENAI_BASE_URL=url, local_url=f"small={url}, large={url}")  # type: ignore[call-arg]
    assert config.openai_base_url == url
    assert local_urls(config.local_url) == {"small": [url], "large": [url]}


def test_a_bad_entry_of_several_is_told_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    value = f"small=http://127.0.0.1/v1,large={SECRET}"
    assert "entry 2" in refused(monkeypatch, "TIERLINE_LOCAL_URL", value)


def test_a_number_that_is_none_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    refused(monkeypatch, "TIERLINE_LEASE_S", SECRET)
    refused(monkeypatch, "TIERLINE_WEBHOOK_ALLOW", f"10.0.0.0/8,{SECRET}")
    refused(monkeypatch, "TIERLINE_WEBHOOK_PORTS", f"8443,{SECRET}")
    refused(monkeypatch, "TIERLINE_WEBHOOK_PORTS", "8443,65536")
    refused(monkeypatch, "TIERLINE_WEBHOOK_MAX_IN_FLIGHT", "1")


def test_an_upload_may_not_take_longer_than_its_parts_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "3600" in refused(monkeypatch, "TIERLINE_MAX_UPLOAD_S", "3601")
    assert UPLOAD_S >= 3600


def test_ports_are_read_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERLINE_WEBHOOK_PORTS", "8443, 9443,")
    assert Settings().webhook_reach.ports == (8443, 9443)
    monkeypatch.setenv("TIERLINE_WEBHOOK_PORTS", "")
    assert Settings().webhook_reach.ports == ()


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://tierline:{SECRET}%zz@127.0.0.1/tierline",
        f"postgresql://tierline:{SECRET}@[127.0.0.1/tierline",
        f"postgresql://tierline:{SECRET}@127.0.0.1:{SECRET}/tierline",
        f"mysql://tierline:{SECRET}@127.0.0.1/tierline",
        f"tierline:{SECRET}@127.0.0.1",
    ],
)
def test_a_database_url_that_cannot_be_read_is_never_quoted(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        psycopg_url(url)
    assert "DATABASE_URL" in raised.value.message
    assert SECRET not in raised.value.message


def test_a_missing_database_url_says_where_that_of_a_running_up_is() -> None:
    with pytest.raises(UsageError, match=r"database_url in run/up\.json"):
        Settings(DATABASE_URL=None).database  # type: ignore[call-arg]  # noqa: B018


def test_a_broker_url_that_cannot_be_read_is_never_quoted() -> None:
    config = Settings(REDIS_URL=f"redis://:{SECRET}/more@127.0.0.1:6379/0")  # type: ignore[call-arg]
    with pytest.raises(UsageError) as raised:
        config.broker  # noqa: B018
    assert SECRET not in raised.value.message


def test_no_setting_shows_a_secret_when_it_is_printed() -> None:
    config = Settings(  # type: ignore[call-arg]
        DATABASE_URL=f"postgresql://u:{SECRET}@h/d",
        REDIS_URL=f"redis://:{SECRET}@h",
        OPENAI_API_KEY=SECRET,
        local_api_key=SECRET,
    )
    assert SECRET not in f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"
