"""All settings of all processes: one class, one field a line, read from the environment.

Conventional names stay conventional (DATABASE_URL, REDIS_URL, OPENAI_API_KEY …); the product's own
stand under TIERLINE_. Nothing else in the tree reads the environment for settings.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, PositiveInt, SecretStr, ValidationError, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from tierline.base.errors import UsageError
from tierline.base.provider_settings import ProviderSettings
from tierline.rules.limits import Limits
from tierline.rules.rate_limits import RateLimit, parse_limits
from tierline.webhooks.addresses import Network, Reach
from tierline.webhooks.shares import MOST_IN_FLIGHT

Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(ProviderSettings):
    model_config = SettingsConfigDict(env_prefix="TIERLINE_", extra="ignore")

    # Where things are
    database_url: SecretStr | None = Field(default=None, validation_alias="DATABASE_URL")
    redis_url: SecretStr | None = Field(default=None, validation_alias="REDIS_URL")

    # The road of a job
    lease_s: float = 15.0  # a worker's beat unseen for this long loses its jobs; > 3 beats, < 30
    beat_s: float = 2.0  # how often a worker process raises its beat
    poll_s: float = 0.25  # how often the dispatcher looks unasked; bounds a lost wake-up
    hints_out: int = 4  # hints waiting in the broker per queue beyond the idle threads
    hint_lost_s: float = 5.0  # overtaken, or the broker's list empty, for this long: hint again
    retry_base_s: float = 1.0  # first wait after a provider's failure; doubles, with jitter
    retry_max_s: float = 60.0
    retries: int = 3  # provider failures on one tier before the job moves on
    hold_s: float = (
        86_400.0  # a job waits so long for a rate limit, a key or a quota; then it fails
    )
    outage_s: float = 60.0  # … and so long for a provider that is down, if there is a next tier
    # Requests and tokens a minute, by provider or model: openai:gpt-5=500/30000,mistral=60/-
    rate_limits: Annotated[Mapping[str, RateLimit], NoDecode] = Field(default_factory=dict)
    idempotency_s: float = 86_400.0  # how long an Idempotency-Key is remembered

    # Limits of one request, applied before anything is parsed
    max_body_bytes: int = 1024 * 1024
    max_part_bytes: int = 8 * 1024 * 1024
    max_body_s: float = 30.0  # from the first read of a body to its last byte
    max_json_depth: int = 64
    max_wait_s: float = 30.0  # the longest Prefer: wait

    # Time in Postgres of routes other than those that submit or read one job; what is over is ended
    statement_timeout_s: Annotated[float, Field(ge=0.1, le=3600)] = 5.0  # one statement of a list
    report_timeout_s: Annotated[float, Field(ge=0.1, le=3600)] = 15.0  # a report, as a whole

    # Whether an operator reads and labels the inputs of every account's jobs, not of its own
    # account's alone: for an installation whose accounts are all the operator's. The second name is
    # the one of 0.1.0
    operators_read_all: bool = Field(
        default=False,
        validation_alias=AliasChoices("TIERLINE_OPERATORS_READ_ALL", "TIERLINE_ADMINS_READ_ALL"),
    )

    # Limits of one account, unless it has its own
    max_queued_jobs: PositiveInt = 100_000  # a flood beyond it is told to come back; an hour's work
    max_jobs_in_progress: PositiveInt | None = None  # none: its fair share of the threads
    max_requests_per_s: PositiveInt = 500  # to each API process; about what one can answer
    max_body_bytes_per_s: PositiveInt = 32 * 1024 * 1024  # … of bodies, to each API process
    max_reports: PositiveInt = 2  # at once, in each API process; it has connections for four

    # Webhooks
    # Networks that webhooks may reach although they are not global, comma-separated
    webhook_allow: Annotated[tuple[Network, ...], NoDecode] = ()
    # Ports that webhooks may use besides 80 and 443, comma-separated
    webhook_ports: Annotated[tuple[Port, ...], NoDecode] = ()
    # The most deliveries that one endpoint may ask to have on their way at once
    webhook_max_in_flight: Annotated[int, Field(ge=2, le=1000)] = MOST_IN_FLIGHT
    webhook_timeout_s: float = 15.0  # one try, from the look-up to the last byte

    # Long operations of the server, such as trainings
    training_memory_mb: Annotated[int, Field(ge=256)] = 2048  # MiB, of one; 10,000 inputs take 700

    # What is done now and then
    sweep_s: Annotated[float, Field(ge=1, le=3600)] = 60.0  # between rounds: comparing, watching
    drift_look_s: Annotated[float, Field(ge=1)] = 86_400.0  # between a feature's looks at drift

    # Processes
    worker_threads: int = 16  # model calls that one worker process keeps in flight
    pool_size: int = 8  # database connections of one process
    grace_s: float = 20.0  # after SIGTERM: how long running calls may still end
    log_format: str = "auto"  # json, console, or auto: console on a terminal

    @field_validator("max_jobs_in_progress", mode="before")
    @classmethod
    def _no_limit(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("rate_limits", mode="before")
    @classmethod
    def _limits(cls, value: object) -> object:
        return parse_limits(value) if isinstance(value, str) else value

    @field_validator("webhook_allow", "webhook_ports", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def limits(self) -> Limits:
        """What an account may ask for that has no limits of its own."""
        return Limits(
            self.max_queued_jobs,
            self.max_jobs_in_progress,
            self.max_requests_per_s,
            self.max_body_bytes_per_s,
        )

    @property
    def webhook_reach(self) -> Reach:
        """What webhooks may reach."""
        return Reach(self.webhook_allow, self.webhook_ports)

    @property
    def database(self) -> str:
        """The database's URL. Raises UsageError when none is set."""
        if self.database_url is None:
            raise UsageError(
                "DATABASE_URL is not set: name a PostgreSQL 15+ database, or run 'tierline up'"
            )
        return self.database_url.get_secret_value()

    @property
    def broker(self) -> str:
        """The broker's URL. Raises UsageError when none is set."""
        if self.redis_url is None:
            raise UsageError(
                "REDIS_URL is not set: name a Redis 6.2+ or Valkey, or run 'tierline up'"
            )
        url = self.redis_url.get_secret_value()
        try:
            urlsplit(url).port  # noqa: B018 - whoever reads it next would quote what does not fit
        except ValueError:
            raise UsageError(
                "REDIS_URL cannot be read: it is redis://:PASSWORD@HOST:PORT/DB, with special"
                " characters of the password written as %2F and the like"
            ) from None
        return url


def _variable(place: str) -> str:
    """The environment's name of what pydantic calls by its field, or by its alias already."""
    return place if place.isupper() else f"TIERLINE_{place.upper()}"


@cache
def settings() -> Settings:
    """The settings of this process. Raises UsageError naming each variable that does not fit."""
    try:
        return Settings()
    except ValidationError as error:
        parts = [
            f"{_variable(str(item['loc'][0]))}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
        raise UsageError("settings: " + "; ".join(parts)) from None
