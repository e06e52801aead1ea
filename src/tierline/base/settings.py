"""All settings of all processes: one class, one field a line, read from the environment.

Conventional names are kept (DATABASE_URL, REDIS_URL, OPENAI_API_KEY …); the product's own names
begin with TIERLINE_. No other code reads settings from the environment.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, PositiveInt, SecretStr, ValidationError, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from tierline.base.custom_checks import CustomCheck, parse_custom_checks
from tierline.base.errors import UsageError
from tierline.base.openid_settings import OpenIdSettings
from tierline.base.provider_settings import ProviderSettings
from tierline.rules.limits import Limits
from tierline.rules.rate_limits import RateLimit, parse_limits
from tierline.webhooks.addresses import Network, Reach
from tierline.webhooks.shares import MOST_IN_FLIGHT

Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(ProviderSettings, OpenIdSettings):
    model_config = SettingsConfigDict(env_prefix="TIERLINE_", extra="ignore")

    # Servers
    database_url: SecretStr | None = Field(default=None, validation_alias="DATABASE_URL")
    redis_url: SecretStr | None = Field(default=None, validation_alias="REDIS_URL")
    # A replica of the same database, for lists, reports, usage and metrics; unset: the primary
    database_read_url: SecretStr | None = Field(default=None, validation_alias="DATABASE_READ_URL")
    # the lag above which the primary is read instead
    replica_lag_s: Annotated[float, Field(gt=0, le=3600)] = 10.0

    # Processing of jobs
    lease_s: float = 15.0  # a lease is lost if its beat stands still for so long; > 3 beats, < 30
    beat_s: float = 2.0  # how often a worker process raises its beat
    poll_s: float = 0.25  # how often the dispatcher polls; bounds the delay after a lost wake-up
    # hints in the broker per pool of queues beyond the idle threads; more where jobs end quickly
    hints_out: int = 4
    # a hint is repeated after it was overtaken, or its list empty, for so long
    hint_lost_s: float = 5.0
    retry_base_s: float = 1.0  # first wait after a provider failure; doubles, with jitter
    retry_max_s: float = 60.0
    retries: int = 3  # provider failures on one tier before the job moves on
    hold_s: float = (
        86_400.0  # how long a job waits for a rate limit, a key or a quota before it fails
    )
    # how long it waits for a provider that is down, if there is a later tier
    outage_s: float = 60.0
    # Requests and tokens a minute, by provider or model: openai:gpt-5=500/30000,mistral=60/-
    rate_limits: Annotated[Mapping[str, RateLimit], NoDecode] = Field(default_factory=dict)
    # The operator's own checks, by name, as JSON: see base/custom_checks.py and docs/features.md
    checks: Annotated[Mapping[str, CustomCheck], NoDecode] = Field(default_factory=dict, repr=False)
    idempotency_s: float = 86_400.0  # how long an Idempotency-Key is remembered

    # Limits of one request, checked before anything is parsed
    max_body_bytes: int = 1024 * 1024
    max_part_bytes: int = 8 * 1024 * 1024
    # of one file that OpenAI's clients upload, and of all files of an account
    max_file_bytes: PositiveInt = 200 * 1024 * 1024
    max_account_file_bytes: PositiveInt = 2 * 1024 * 1024 * 1024
    file_days: Annotated[float, Field(gt=0, le=365)] = 30.0  # how long a file is kept at most
    # from the first read of a file's body to its last byte; what is left of one is removed after an
    # hour
    max_upload_s: Annotated[float, Field(gt=0, le=3600)] = 600.0
    max_body_s: float = 30.0  # from the first read of a body to its last byte
    max_json_depth: int = 64
    max_wait_s: float = 30.0  # the longest Prefer: wait

    # Limits on database time for routes that neither submit nor read one job; longer statements are
    # cancelled
    statement_timeout_s: Annotated[float, Field(ge=0.1, le=3600)] = 5.0  # one statement of a list
    report_timeout_s: Annotated[float, Field(ge=0.1, le=3600)] = 15.0  # a whole report

    # Whether operators may read and label inputs of all accounts' jobs, not only of their own
    # account. For installations whose accounts all belong to the operator. The second name is the
    # one of 0.1.0.
    operators_read_all: bool = Field(
        default=False,
        validation_alias=AliasChoices("TIERLINE_OPERATORS_READ_ALL", "TIERLINE_ADMINS_READ_ALL"),
    )

    # Limits of accounts without limits of their own
    max_queued_jobs: PositiveInt = 100_000  # submissions beyond it get 429; about an hour's work
    max_jobs_in_progress: PositiveInt | None = None  # unset: its fair share of the threads
    max_requests_per_s: PositiveInt = 500  # per API process; about what one process can answer
    max_body_bytes_per_s: PositiveInt = 32 * 1024 * 1024  # bytes of bodies, per API process
    max_reports: PositiveInt = 2  # at once, per API process, which has connections for four
    max_streams: PositiveInt = 500  # event streams of one key at once, per API process

    # Webhooks Networks that webhooks may reach although they are not global, comma-separated
    webhook_allow: Annotated[tuple[Network, ...], NoDecode] = ()
    # Ports that webhooks may use besides 80 and 443, comma-separated
    webhook_ports: Annotated[tuple[Port, ...], NoDecode] = ()
    # The most that an endpoint may set as its number of deliveries at once
    webhook_max_in_flight: Annotated[int, Field(ge=2, le=1000)] = MOST_IN_FLIGHT
    webhook_timeout_s: float = 15.0  # one try, from the DNS look-up to the last byte

    # Long operations of the server, such as trainings
    # MiB per training; 10,000 short inputs took 1,114
    training_memory_mb: Annotated[int, Field(ge=256)] = 2048
    # of one run; the largest measured training took minutes
    operation_max_s: Annotated[float, Field(ge=1)] = 14_400.0
    # for ended ones; what they made stays
    operation_kept_days: Annotated[int, Field(ge=1, le=3650)] = 90

    # Periodic work
    # between rounds of comparing and watching
    sweep_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    drift_look_s: Annotated[float, Field(ge=1)] = 86_400.0  # between two drift checks of a feature

    # Upgrades of the database
    # how long a migration waits for a lock that others then wait behind; afterwards it tries again
    migration_lock_ms: Annotated[int, Field(ge=1, le=5000)] = 50
    # for how long it tries before the upgrade ends with the reason
    migration_wait_s: Annotated[float, Field(gt=0)] = 600.0

    # History older than this is removed, a week at a time; unset: none is. docs/operations.md says
    # what is kept longer
    history_days: Annotated[float, Field(ge=1)] | None = None

    # Processes
    worker_threads: int = 16  # parallel model calls of one worker process
    pool_size: int = 8  # database connections of one process
    grace_s: float = 20.0  # after SIGTERM: time for running calls to end
    log_format: str = "auto"  # json, console, or auto: console on a terminal

    @field_validator("max_jobs_in_progress", "history_days", mode="before")
    @classmethod
    def _no_limit(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("rate_limits", mode="before")
    @classmethod
    def _limits(cls, value: object) -> object:
        return parse_limits(value) if isinstance(value, str) else value

    @field_validator("checks", mode="before")
    @classmethod
    def _checks(cls, value: object) -> object:
        return parse_custom_checks(value) if isinstance(value, str) else value

    @field_validator("webhook_allow", "webhook_ports", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def limits(self) -> Limits:
        """The limits of an account without limits of its own."""
        return Limits(
            self.max_queued_jobs,
            self.max_jobs_in_progress,
            self.max_requests_per_s,
            self.max_body_bytes_per_s,
        )

    @property
    def webhook_reach(self) -> Reach:
        """The addresses and ports that webhooks may use."""
        return Reach(self.webhook_allow, self.webhook_ports)

    @property
    def database(self) -> str:
        """The database's URL. Raises UsageError if it is not set."""
        if self.database_url is None:
            raise UsageError(
                "DATABASE_URL is not set: name a PostgreSQL 15+ database. The one of a running "
                "'tierline up' is database_url in run/up.json of its home"
            )
        return self.database_url.get_secret_value()

    @property
    def replica(self) -> str | None:
        """The URL of a replica for reads that may be late; None: there is none."""
        url = self.database_read_url
        return None if url is None else url.get_secret_value() or None

    @property
    def broker(self) -> str:
        """The broker's URL. Raises UsageError if it is not set."""
        if self.redis_url is None:
            raise UsageError(
                "REDIS_URL is not set: name a Redis 6.2+ or Valkey, or run 'tierline up'"
            )
        url = self.redis_url.get_secret_value()
        try:
            urlsplit(url).port  # noqa: B018 - later parsers would quote the URL in their message
        except ValueError:
            raise UsageError(
                "REDIS_URL is not a valid URL: write redis://:PASSWORD@HOST:PORT/DB, with special"
                " characters of the password written as %2F and the like"
            ) from None
        return url


def _variable(place: str) -> str:
    """The environment variable of a field that pydantic names by field or by alias."""
    return place if place.isupper() else f"TIERLINE_{place.upper()}"


@cache
def settings() -> Settings:
    """The settings of this process. Raises UsageError with each invalid variable."""
    try:
        return Settings()
    except ValidationError as error:
        parts = [
            f"{_variable(str(item['loc'][0]))}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
        raise UsageError("settings: " + "; ".join(parts)) from None
