"""The user's config file: addresses and keys of servers, by the names of profiles.

    profile = "staging"          # used if nothing else names a server

    [profiles.staging]
    url = "https://tierline.example.com"
    api_key = "…"

It is $XDG_CONFIG_HOME/tierline/config.toml, by default ~/.config/tierline/config.toml, with mode
0600. `tierline login` writes it.
"""

import json
import os
import re
import stat
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tierline.base.errors import UsageError

NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")
FIELDS = frozenset({"url", "api_key"})

chosen: ContextVar[str | None] = ContextVar("chosen", default=None)
"""The profile that `tierline --profile NAME` names."""


@dataclass(frozen=True)
class Profile:
    """A server and a key for it."""

    url: str
    api_key: str = field(repr=False)


@dataclass(frozen=True)
class Config:
    """The contents of the file."""

    profile: str | None  # the one to use by default
    profiles: Mapping[str, Profile]


def config_path() -> Path:
    """Where the file is; a relative XDG_CONFIG_HOME is ignored, as its specification says."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".config"
    return root / "tierline" / "config.toml"


def read_config() -> Config | None:
    """The file; None if there is none. Raises UsageError for a file that is invalid, or that others
    may read.
    """
    path = config_path()
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"{path} has keys, and others may read it: chmod 600 {path}")
    import tomllib

    try:
        return _config(tomllib.loads(raw.decode()))
    except (ValueError, UsageError) as error:
        raise UsageError(f"{path}: {error}") from None


def profile_named(name: str) -> Profile:
    """The profile of that name. Raises UsageError if there is none."""
    config = read_config()
    profiles = {} if config is None else config.profiles
    if name not in profiles:
        names = ", ".join(profiles) or "none"
        raise UsageError(
            f"there is no profile {name!r} in {config_path()} (there: {names}): make it with "
            f"'tierline login --profile {name}'"
        )
    return profiles[name]


def default_profile() -> Profile | None:
    """The profile that the file names as the default; None if it names none."""
    config = read_config()
    if config is None or config.profile is None:
        return None
    return profile_named(config.profile)


def store_profile(name: str, profile: Profile, *, default: bool) -> Path:
    """Add or change a profile. It becomes the default if `default` is true or if there is none.
    Returns the file. Raises UsageError if it cannot be written.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"--profile {name!r}: use letters, digits, - and _")
    config = read_config() or Config(None, {})
    profiles = {**config.profiles, name: profile}
    first = name if default or config.profile is None else config.profile
    lines = [f"profile = {json.dumps(first)}"]
    for each, stored in profiles.items():
        lines += ["", f"[profiles.{each}]", f"url = {json.dumps(stored.url)}"]
        lines += [f"api_key = {json.dumps(stored.api_key)}"]
    from tierline.cli.shared.private_files import new_private

    path = config_path()
    beside = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with new_private(beside) as file:
            file.write("\n".join(lines) + "\n")
        beside.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    return path


def _config(document: Mapping[str, Any]) -> Config:
    for name in document:
        if name not in ("profile", "profiles"):
            raise UsageError(f"{name} is not a known key: use profile and profiles.NAME")
    profiles = document.get("profiles", {})
    if not isinstance(profiles, dict):
        raise UsageError("profiles must be tables: [profiles.NAME]")
    default = document.get("profile")
    if default is not None and not isinstance(default, str):
        raise UsageError("profile must be the name of a profile")
    return Config(default, {name: _profile(name, entry) for name, entry in profiles.items()})


def _profile(name: str, entry: object) -> Profile:
    fields = entry if isinstance(entry, dict) else {}
    for key in FIELDS:
        if not isinstance(fields.get(key), str) or not fields[key]:
            raise UsageError(f"profiles.{name} needs {key}, as a text")
    for key in fields:
        if key not in FIELDS:
            raise UsageError(f"profiles.{name}.{key} is not a known key: use url and api_key")
    return Profile(fields["url"], fields["api_key"])
