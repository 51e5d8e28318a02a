"""Reads every setting from the environment or, as `NAME_FILE`, from a file; remembers what was read for the docs.

Casting is django-environ's. A value that can't be cast stops the start with a sentence that names the setting.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

_DATABASES = {"postgres", "postgresql", "sqlite"}
_REDIS = ("redis://", "rediss://", "unix://")
_YES, _NO = {"true", "on", "ok", "y", "yes", "1"}, {"false", "off", "n", "no", "0"}
_LONGEST_SHOWN = 12  # a longer value may be a secret pasted into the wrong place
_LINE = re.compile(r"(?:export[ \t]+)?([A-Z][A-Z0-9_]*)[ \t]*=[ \t]*(.*)")


@dataclass(frozen=True)
class Setting:
    """One documented setting: its name, kind, default as shown in the docs, and meaning."""

    name: str
    kind: str
    default: str
    help: str
    secret: bool = False


@dataclass
class Environment:
    """A view of the process environment (over fallback values) that documents what is asked of it."""

    values: Mapping[str, str]
    fallback: Mapping[str, str] = field(default_factory=dict)
    documented: dict[str, Setting] = field(default_factory=dict)

    def text(self, name: str, default: str, help_text: str, *, secret: bool = False, shown: str | None = None) -> str:
        """Return a string; `shown` replaces the default in the docs where it is computed."""
        return str(self._cast(name, str, default, help_text, "text", secret=secret, shown=shown))

    def integer(self, name: str, default: int, help_text: str, *, low: int = 0, high: int | None = None) -> int:
        """Return a whole number of at least `low`, and at most `high`."""
        value = int(self._cast(name, int, default, help_text, "number"))
        if high is not None and not low <= value <= high:
            raise ImproperlyConfigured(f"{name} is {value}; set it to {low} to {high}.")
        if value < low:
            raise ImproperlyConfigured(f"{name} is {value}; it must be at least {low}.")
        return value

    def switch(self, name: str, default: bool, help_text: str) -> bool:
        """Return a yes/no setting (`true`, `1`, `yes`, `on` are yes, their opposites are no)."""
        raw = (self._raw(name) or "").strip()
        if raw and raw.lower() not in _YES | _NO:
            shown = repr(raw) if len(raw) <= _LONGEST_SHOWN else "neither"
            raise ImproperlyConfigured(f"{name} is {shown}; set it to yes or no.")
        return bool(self._cast(name, bool, default, help_text, "yes/no"))

    def words(self, name: str, default: list[str], help_text: str, *, secret: bool = False) -> list[str]:
        """Return a comma separated list without empty entries."""
        raw = self._cast(name, list, default, help_text, "comma list", secret=secret, shown=",".join(default))
        return [word.strip() for word in raw if word.strip()]

    def networks(self, name: str, default: list[str], help_text: str) -> list[str]:
        """Return a comma separated list of networks, each in canonical form."""
        found = []
        for word in self.words(name, default, help_text):
            try:
                found.append(str(ipaddress.ip_network(word, strict=False)))
            except ValueError as error:
                raise ImproperlyConfigured(f"{name} holds {word[:60]!r}, which is no network like 10.0.0.0/8 or 2001:db8::/32.") from error
        return found

    def redis(self, name: str, example: str, help_text: str) -> str:
        """Return the URL of a Redis, or an empty string where none is named."""
        url = self.text(name, "", help_text, secret=True)
        if url and not url.startswith(_REDIS):
            raise ImproperlyConfigured(f"{name} is not a Redis URL like {example}.")
        return url

    def database(self, name: str, sqlite_path: Path) -> dict[str, Any]:
        """Return Django's database settings for the URL in `name`, or for SQLite at `sqlite_path`."""
        raw = self._raw(name) or f"sqlite:///{sqlite_path}"
        if raw.partition("://")[0] not in _DATABASES or "://" not in raw:  # environ would warn, and show the password
            raise ImproperlyConfigured(f"{name} names no PostgreSQL (postgres://user:password@host:5432/name) and no SQLite.")
        try:
            config: dict[str, Any] = dict(environ.Env.db_url_config(raw))
        except ValueError as error:
            raise ImproperlyConfigured(f"{name} is not a database URL like postgres://user:password@host:5432/name.") from error
        # django-q2's broker closes old connections at each call: without an age every statement would open a new one
        config |= {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
        if "sqlite" in config["ENGINE"]:
            pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA mmap_size=134217728; PRAGMA cache_size=-20000;"
            config["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": pragmas}
        else:
            # a database host that swallows packets must not hang the health check (and all else) for minutes
            # no JIT: with a million deliveries waiting, compiling a claim's plan took half a second, running it a millisecond
            defaults = {"connect_timeout": 5, "tcp_user_timeout": 30_000, "options": "-c jit=off"}
            config["OPTIONS"] = defaults | config.get("OPTIONS", {})
        return config

    def unknown(self, names: Iterable[str]) -> list[str]:
        """Return a sentence for each name that was never asked for. Only complete once all settings were read."""
        known = [spelt for name in self.documented for spelt in (name, f"{name}_FILE")]
        found = []
        for name in sorted(set(names) - set(known)):
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
            found.append(f"unknown setting {name}; did you mean {close[0]}?" if close else f"unknown setting {name}.")
        return found

    def table(self) -> str:
        """Return every setting that was asked for as a Markdown table, for docs/settings.md."""
        lines = ["| name | kind | default | meaning |", "| --- | --- | --- | --- |"]
        for setting in sorted(self.documented.values(), key=lambda setting: setting.name):
            default = f"`{setting.default}`" if setting.default else ""
            mark = " **Secret.**" if setting.secret else ""
            lines.append(f"| `{setting.name}` | {setting.kind} | {default} | {setting.help}{mark} |")
        return "\n".join(lines) + "\n"

    def _cast(
        self, name: str, cast: type, default: object, help_text: str, kind: str, *, secret: bool = False, shown: str | None = None
    ) -> Any:
        shown_default = str(default) if shown is None else shown
        if isinstance(default, bool):
            shown_default = "yes" if default else "no"
        self.documented[name] = Setting(name, kind, "" if secret else shown_default, help_text, secret)
        raw = self._raw(name)
        if raw is None:
            return default
        reader = environ.Env()
        reader.ENVIRON = {name: raw}
        try:
            return reader.get_value(name, cast=cast)
        except ValueError as error:
            # the value itself stays out of the message: it may be a secret pasted into the wrong place
            raise ImproperlyConfigured(f"{name} can't be read as {kind}; see docs/settings.md.") from error

    def _raw(self, name: str) -> str | None:
        # an empty value counts as unset, so that `NAME=` in an env file means "the default"
        return self._given(name, self.values) or self._given(name, self.fallback)

    @staticmethod
    def _given(name: str, source: Mapping[str, str]) -> str | None:
        direct, from_file = source.get(name), source.get(f"{name}_FILE")
        if direct and from_file:
            raise ImproperlyConfigured(f"Set {name} or {name}_FILE, not both.")
        if not from_file:
            return direct or None
        try:
            return Path(from_file).read_text(encoding="utf-8").strip() or None
        except UnicodeDecodeError as error:
            raise ImproperlyConfigured(f"{name}_FILE names {from_file}, which is not text.") from error
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE names {from_file}, which can't be read: {error.strerror}.") from error


def process_environment(fallback: Mapping[str, str]) -> Environment:
    """Return the environment of this process, with `fallback` for names it leaves unset."""
    return Environment(values=os.environ, fallback=fallback)


def read_env_file(path: Path, *, named: bool = False) -> dict[str, str]:
    """Return the `NAME=value` lines of a file (quotes around a value are dropped).

    No file means no lines, unless it was `named`. Raises ImproperlyConfigured for one that can't be read, or another line.
    """
    subject = f"REPOGUARD_ENV_FILE names {path}, which" if named else str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ImproperlyConfigured(f"{subject} is not text.") from error
    except OSError as error:
        if not named and isinstance(error, FileNotFoundError | IsADirectoryError):
            return {}
        raise ImproperlyConfigured(f"{subject} can't be read: {error.strerror}.") from error
    found = {}
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        pair = _LINE.fullmatch(stripped)
        if not pair:  # the line itself stays out of the message: it may hold a secret
            raise ImproperlyConfigured(f"{path}: line {number} is not NAME=value, with a name in capitals.")
        found[pair[1]] = _unquoted(pair[2])
    return found


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


def locate(base_dir: Path) -> tuple[dict[str, str], Path]:
    """Return the values of the env file and the data folder: `.env` and `var` in `base_dir` unless the environment names others."""
    given = os.environ.get("REPOGUARD_ENV_FILE")
    from_file = read_env_file(Path(given), named=True) if given else read_env_file(base_dir / ".env")
    named = os.environ.get("REPOGUARD_DATA_DIR") or from_file.get("REPOGUARD_DATA_DIR") or "var"
    return from_file, (base_dir / named).resolve()
