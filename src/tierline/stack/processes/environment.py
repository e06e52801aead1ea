"""Which environment variables a child of `up` gets: those that it reads, and no others.

If a database, a web page or a model server has a provider's key in its environment, a bug in it can
leak the key. `base` is what every program gets, and all that the embedded servers get. `of_process`
adds what a process of the Procfile reads. A command in the operator's own Procfile that is not the
product's gets everything, as with any Procfile runner. docker-compose.yml gives each service the
same variables; a test compares them.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

BASE = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV"),
        *("XDG_CACHE_HOME", "XDG_DATA_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT"),
    }
)
BASE_PREFIXES = ("LC_", "PYTHON", "MALLOC_", "OMP_", "OPENBLAS_", "MKL_")
LIBPQ = ("PG",)  # PGSSLROOTCERT and others, for the operator's own database
OF_GOOGLE = frozenset({"K_SERVICE", "CLOUDSDK_CONFIG", "CLOUDSDK_CORE_PROJECT"})
"""Google's library reads these to find credentials, in addition to its own prefixes."""
GOOGLE_PREFIXES = ("GCE_METADATA_", "AWS_")  # AWS_: for a federated identity
FLOWER = frozenset(
    {
        *("FLOWER_PORT", "TIERLINE_FLOWER_USER", "TIERLINE_FLOWER_PASSWORD"),
        *("TIERLINE_FLOWER_HOST", "TIERLINE_FLOWER_PREFIX"),
    }
)
LOGS = "TIERLINE_LOG_FORMAT"
BROKER = "REDIS_URL"
PRESENT = "set"  # replaces a provider's key in processes that only need to know that it is set


@dataclass(frozen=True)
class Needs:
    """What one of the product's processes reads."""

    settings: bool = True  # the product's settings, and the database's
    providers: bool = False  # the addresses of model servers
    keys: bool = False  # the providers' keys; if False, only whether they are set
    flower: bool = False
    broker: bool = True
    sign_in: bool = False  # to the console, by OpenID Connect; with the client secret


API = Needs(providers=True, sign_in=True)  # it lists the models that can be called, but calls none
DISPATCHER = Needs()
WORKER = Needs(providers=True, keys=True)
DELIVERING = Needs()  # sends webhooks and calls no model
SWEEPING = Needs(providers=True)  # estimates the cost of judges, and calls no model either
TRAINER = Needs(broker=False)  # works on rows of Postgres only
FLOWER_ONLY = Needs(settings=False, flower=True)
DELIVERY_QUEUES = frozenset({"webhooks"})
SWEEP_QUEUES = DELIVERY_QUEUES | {"maintenance"}


def needs_of(argv: Sequence[str]) -> Needs | None:
    """What the process with that command reads; None if the command is not the product's."""
    words = list(argv)
    if "-m" not in words[:-1]:
        return None
    module = words[words.index("-m") + 1]
    if module == "workers":
        named = re.search(r"--queues[ =](\S+)", " ".join(words))
        queues = set(named[1].split(",")) if named else set()
        if not queues or not queues <= SWEEP_QUEUES:
            return WORKER
        return DELIVERING if queues <= DELIVERY_QUEUES else SWEEPING
    return {
        "api": API,
        "workers.dispatcher": DISPATCHER,
        "workers.trainer": TRAINER,
        "workers.flower": FLOWER_ONLY,
    }.get(module)


def base(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What every program gets: paths, language, and the interpreter's own options."""
    environ = os.environ if environ is None else environ
    return {
        name: value
        for name, value in environ.items()
        if name in BASE or name.startswith(BASE_PREFIXES)
    }


def of_process(argv: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of the process with that command, taken from `environ`."""
    needs = needs_of(argv)
    if needs is None:
        return dict(environ)
    names = variables(needs, environ)
    chosen = base(environ) | {name: environ[name] for name in sorted(names) if name in environ}
    if needs.settings:
        chosen |= _starting(environ, LIBPQ)
    if needs.keys:
        chosen |= _starting(environ, GOOGLE_PREFIXES)
    if needs.providers and not needs.keys:
        chosen |= {name: PRESENT for name in secret_variables(environ) if environ.get(name)}
    return chosen


def variables(needs: Needs, environ: Mapping[str, str]) -> frozenset[str]:
    """The names of the variables that a process reads, beyond the base.

    `environ` contains TIERLINE_OPENAI_COMPATIBLE. The key variables of its servers are named after
    them.
    """
    names = {BROKER, LOGS}
    if needs.flower:
        names |= FLOWER
    if needs.settings:
        names |= _own_settings()
    if needs.sign_in:
        names |= _sign_in_settings()
    if needs.providers:
        names |= _provider_settings() - secret_variables(environ)
        names |= OF_GOOGLE
    if needs.keys:
        names |= secret_variables(environ)
    return frozenset(names if needs.broker else names - {BROKER})


def secret_variables(environ: Mapping[str, str]) -> frozenset[str]:
    """The variables that contain providers' keys, including those of the operator's own servers."""
    from tierline.base.provider_settings import ProviderSettings, key_variable

    own = re.findall(r"(?:^|,)\s*([^=,\s]+)\s*=", environ.get("TIERLINE_OPENAI_COMPATIBLE", ""))
    return frozenset(
        {
            *(name for name, secret in _fields(ProviderSettings) if secret),
            *(key_variable(name) for name in own),
        }
    )


def _own_settings() -> set[str]:
    from tierline.base.provider_settings import ProviderSettings
    from tierline.base.settings import Settings

    others = {name for name, _ in _fields(ProviderSettings)} | _sign_in_settings()
    return {name for name, _ in _fields(Settings)} - others


def _sign_in_settings() -> set[str]:
    from tierline.base.openid_settings import OpenIdSettings

    return {name for name, _ in _fields(OpenIdSettings)}


def _provider_settings() -> set[str]:
    from tierline.base.provider_settings import ProviderSettings

    return {name for name, _ in _fields(ProviderSettings)}


def _fields(settings: type) -> Iterator[tuple[str, bool]]:
    """The variables of each field of a settings class, and whether they contain a secret."""
    from pydantic import AliasChoices, SecretStr

    for name, field in settings.model_fields.items():  # type: ignore[attr-defined]
        alias = field.validation_alias or f"TIERLINE_{name.upper()}"
        secret = SecretStr in (field.annotation, *get_args(field.annotation))
        for variable in alias.choices if isinstance(alias, AliasChoices) else [alias]:
            yield str(variable), secret


def _starting(environ: Mapping[str, str], prefixes: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(prefixes)}
