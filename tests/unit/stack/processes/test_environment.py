"""Each process of the product gets the variables that it reads, and no key that it does not use."""

import shlex
from pathlib import Path

import pytest

from tierline.base.provider_settings import KEYS, ProviderSettings
from tierline.stack.local_models.local_servers import LocalServer
from tierline.stack.local_models.models import SMOLLM2
from tierline.stack.processes import environment
from tierline.stack.processes.child import Program
from tierline.stack.processes.procfile import parse

ROOT = Path(__file__).parents[4]
COMMANDS = {
    entry.name: shlex.split(entry.command) for entry in parse((ROOT / "Procfile").read_text())
}
WORKERS = {"slm", "deeper", "quarantine"}
OWN = {"TIERLINE_OPENAI_COMPATIBLE": "our-llm=http://llm.invalid/v1"}
KEY_NAMES = environment.secret_variables(OWN)
EVERYTHING = {
    **dict.fromkeys(KEY_NAMES, "sentinel-key"),
    **OWN,
    "PATH": "/bin",
    "LC_ALL": "C.UTF-8",
    "DATABASE_URL": "postgresql:///x",
    "REDIS_URL": "redis://x",
    "OPENAI_BASE_URL": "http://models.invalid/v1",
    "TIERLINE_FLOWER_PASSWORD": "flower-password",
    "TIERLINE_LEASE_S": "7",
    "TIERLINE_API_KEY": "tl_of_the_operator",
    "PGSSLROOTCERT": "/etc/ca.pem",
    "AWS_SECRET_ACCESS_KEY": "sentinel-key",
    "GITHUB_TOKEN": "of somebody else",
}


def test_every_secret_of_the_settings_is_known_as_one() -> None:
    named = {
        str(ProviderSettings.model_fields[name].validation_alias or f"TIERLINE_{name.upper()}")
        for name in KEYS
    }
    assert named | {"OUR_LLM_API_KEY"} == KEY_NAMES


def test_every_process_of_the_procfile_is_known() -> None:
    assert {name for name, words in COMMANDS.items() if environment.needs_of(words)} == set(
        COMMANDS
    )


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - WORKERS))
def test_a_process_that_calls_no_model_gets_no_key(name: str) -> None:
    got = environment.of_process(COMMANDS[name], EVERYTHING)
    assert "sentinel-key" not in got.values()


@pytest.mark.parametrize("name", sorted(WORKERS))
def test_a_worker_gets_the_keys(name: str) -> None:
    got = environment.of_process(COMMANDS[name], EVERYTHING)
    assert {got[key] for key in KEY_NAMES} == {"sentinel-key"}


def test_a_worker_that_delivers_webhooks_alone_gets_none() -> None:
    words = shlex.split("python -m workers --queues webhooks --name webhooks")
    assert "sentinel-key" not in environment.of_process(words, EVERYTHING).values()


@pytest.mark.parametrize("name", ["api", "webhooks"])
def test_the_api_and_the_sweep_know_of_a_key_only_that_it_is_set(name: str) -> None:
    got = environment.of_process(COMMANDS[name], EVERYTHING)
    assert {got[key] for key in KEY_NAMES} == {environment.PRESENT}
    assert "MISTRAL_API_KEY" not in environment.of_process(
        COMMANDS[name], {**EVERYTHING, "MISTRAL_API_KEY": ""}
    )
    assert got["OPENAI_BASE_URL"] == "http://models.invalid/v1"


def test_only_the_api_gets_the_settings_of_sign_in_with_their_secret() -> None:
    given = {**EVERYTHING, "TIERLINE_OIDC_CLIENT_SECRET": "sentinel", "TIERLINE_OIDC_ISSUER": "x"}
    for name, words in COMMANDS.items():
        got = environment.of_process(words, given)
        assert ("TIERLINE_OIDC_CLIENT_SECRET" in got) == (name == "api"), name
        assert ("TIERLINE_OIDC_ISSUER" in got) == (name == "api"), name


def test_only_flower_gets_flowers_password_and_it_gets_no_database() -> None:
    for name, words in COMMANDS.items():
        got = environment.of_process(words, EVERYTHING)
        assert ("TIERLINE_FLOWER_PASSWORD" in got) == (name == "flower"), name
        assert ("DATABASE_URL" in got) == (name != "flower"), name


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_what_the_product_does_not_read_is_not_handed_on(name: str) -> None:
    got = environment.of_process(COMMANDS[name], EVERYTHING)
    assert not {"GITHUB_TOKEN", "TIERLINE_API_KEY"} & got.keys()
    assert got["PATH"] == "/bin"
    assert got["LC_ALL"] == "C.UTF-8"


def test_a_command_of_the_operators_own_gets_everything() -> None:
    assert environment.of_process(["python", "mine.py"], EVERYTHING) == EVERYTHING


def test_an_embedded_server_gets_what_every_program_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    # PostgreSQL writes over the memory that /proc/PID/environ shows: it is looked at here
    for name, value in EVERYTHING.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PGDATA", "/elsewhere")
    server = LocalServer(SMOLLM2, 1, Path("model.gguf"), 1, "the-run's-key", 1, 1)
    for program in (Program("postgres", ["postgres"]), server.program()):
        assert "sentinel-key" not in program.env.values()
        assert not {"DATABASE_URL", "REDIS_URL", "PGDATA", "GITHUB_TOKEN"} & program.env.keys()
        assert program.env["PATH"] == "/bin"


@pytest.mark.parametrize("name", ["TIERLINE_OPERATORS_READ_ALL", "TIERLINE_ADMINS_READ_ALL"])
def test_a_setting_is_handed_on_under_its_former_name_too(name: str) -> None:
    assert environment.of_process(COMMANDS["api"], {**EVERYTHING, name: "true"})[name] == "true"
