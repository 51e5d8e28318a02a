"""The conditions of a policy: how many findings of which kind a commit may have, among its new ones or among all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import TextChoices

from core.errors import InvalidInput
from scans.choices import Kind, Severity

MOST_CONDITIONS = 30
MOST_DAYS = 3650
SLA_SEVERITIES = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFO)
USUAL_SLA = {Severity.CRITICAL.value: 7, Severity.HIGH.value: 30, Severity.MEDIUM.value: 90, Severity.LOW.value: 180}
"""What the form suggests."""
_HIGHEST = 1_000_000


class Among(TextChoices):
    """Which findings a condition looks at."""

    NEW = "new", "new findings"
    ALL = "all", "all open findings"


@dataclass(frozen=True)
class Condition:
    """Broken when more than `most` findings that are all of this are there."""

    among: str = Among.NEW.value
    severity: str = Severity.HIGH.value
    most: int = 0
    only_fixable: bool = False
    kinds: tuple[str, ...] = ()
    """Empty is every kind."""
    known_exploited: bool = False
    """Only those in CISA's catalogue."""
    min_epss: float | None = None
    over_sla: bool = False
    """Only those that are open for longer than the policy's `sla_days` of their severity."""
    since: str | None = None
    """A day: new are those that appeared from it on, whichever branch has them."""

    @property
    def starts(self) -> datetime | None:
        """Return the moment from which on a finding is new, None where the base branch says it."""
        return datetime.combine(date.fromisoformat(self.since), datetime.min.time(), UTC) if self.since else None

    @property
    def depends_on_time(self) -> bool:
        """Say whether it may break, or not any more, without a scan or anybody's decision."""
        return self.over_sla or self.known_exploited or self.min_epss is not None

    def sentence(self) -> str:
        """Return the condition in plain words."""
        worst = "critical " if self.severity == Severity.CRITICAL else ""
        floor = "" if worst or self.severity == Severity.UNKNOWN else f" of severity {self.severity} or worse"
        kinds = f" ({', '.join(Kind(kind).label for kind in self.kinds)})" if self.kinds else ""
        count = "no" if not self.most else f"at most {self.most}"
        new = "new " if self.among == Among.NEW and not self.since else ""
        return f"{count} {new}{worst}findings{floor}{_listed(self._further())}{kinds}"

    def _further(self) -> list[str]:
        said = {
            f"that appeared since {self.since}": self.since,
            "known to be exploited": self.known_exploited,
            f"with an EPSS of {self.min_epss} or more": self.min_epss is not None,
            "past their days to fix": self.over_sla,
            "with a known fix": self.only_fixable,
        }
        return [words for words, holds in said.items() if holds]

    def stored(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**asdict(self), "kinds": list(self.kinds)}


DEFAULT = (Condition(),)
"""What holds where no policy was made: no new findings that are high or worse."""
_NAMES = tuple(field.name for field in fields(Condition))


def parse(values: Any) -> tuple[Condition, ...]:
    """Return the conditions that JSON describes; raises InvalidInput naming the one that is wrong."""
    if not isinstance(values, list) or len(values) > MOST_CONDITIONS:
        raise InvalidInput.of("conditions", f"must be a list of at most {MOST_CONDITIONS} conditions.")
    return tuple(_one(number, value) for number, value in enumerate(values))


def parse_sla(values: Any, conditions: Sequence[Condition]) -> dict[str, int]:
    """Return the days by severity that JSON describes; raises InvalidInput, also where conditions need some and there are none."""
    known = ", ".join(SLA_SEVERITIES)
    if not isinstance(values, dict):
        raise InvalidInput.of("sla_days", 'must be an object of severities and days, such as {"critical": 7, "high": 30}.')
    for name, days in values.items():
        if name not in SLA_SEVERITIES:
            raise InvalidInput.of(f"sla_days.{_shown(name)}", f"is no severity that can have one; those are {known}.")
        if days is not None and (isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MOST_DAYS):
            raise InvalidInput.of(f"sla_days.{name}", f"must be a whole number of days from 1 to {MOST_DAYS}, or null for none.")
    found = {one.value: values[one] for one in SLA_SEVERITIES if values.get(one) is not None}
    if not found and any(one.over_sla for one in conditions):
        raise InvalidInput.of(
            "sla_days", 'must have days, such as {"critical": 7, "high": 30}, where a condition looks at what is past them (over_sla).'
        )
    return found


def load(values: Sequence[Mapping[str, Any]]) -> tuple[Condition, ...]:
    """Return stored conditions."""
    return tuple(Condition(**{**value, "kinds": tuple(value.get("kinds", ()))}) for value in values)


def _one(number: int, value: Any) -> Condition:
    at = f"conditions.{number}"
    if not isinstance(value, dict):
        raise InvalidInput.of(at, "must be an object.")
    if unknown := sorted(set(value) - set(_NAMES)):
        raise InvalidInput.of(f"{at}.{_shown(unknown[0])}", f"is not known here; a condition has {', '.join(sorted(_NAMES))}.")
    given = asdict(Condition()) | {"kinds": []} | value
    _choice(f"{at}.among", given["among"], Among.values)
    _choice(f"{at}.severity", given["severity"], Severity.values)
    if isinstance(given["most"], bool) or not isinstance(given["most"], int) or not 0 <= given["most"] <= _HIGHEST:
        raise InvalidInput.of(f"{at}.most", f"must be a whole number from 0 to {_HIGHEST}.")
    for name in ("only_fixable", "known_exploited", "over_sla"):
        if not isinstance(given[name], bool):
            raise InvalidInput.of(f"{at}.{name}", "must be true or false.")
    if not isinstance(given["kinds"], list):
        raise InvalidInput.of(f"{at}.kinds", "must be a list.")
    for kind in given["kinds"]:
        _choice(f"{at}.kinds", kind, Kind.values)
    epss, since = _epss(f"{at}.min_epss", given["min_epss"]), _since(f"{at}.since", given["since"], given["among"])
    return Condition(**{**given, "kinds": tuple(sorted(set(given["kinds"]))), "min_epss": epss, "since": since})


def _epss(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise InvalidInput.of(name, "must be null or a number above 0, at most 1, such as 0.1: a chance of being exploited within 30 days.")
    return float(value)


def _since(name: str, value: Any, among: str) -> str | None:
    if value is None:
        return None
    try:
        day = date.fromisoformat(value) if isinstance(value, str) and len(value) == len("2026-11-01") else None
    except ValueError:
        day = None
    if day is None:
        raise InvalidInput.of(name, "must be a day such as 2026-11-01, or null.")
    if among != Among.NEW:
        raise InvalidInput.of(name, "says which findings are new: it needs among to be new.")
    return day.isoformat()


def _choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InvalidInput.of(name, f"must be one of {', '.join(choices)}.")


def _listed(words: list[str]) -> str:
    *first, last = words or [""]
    return f" {', '.join(first)} and {last}" if first else f" {last}".rstrip()


def _shown(name: Any) -> str:
    return ascii(name)[1:-1][:40]
