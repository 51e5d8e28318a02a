"""The conditions of a policy: how many findings of which kind a commit may have, among its new ones or among all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import TextChoices

from core.errors import InvalidInput
from scans.choices import Kind, Severity

MOST_CONDITIONS = 30
_HIGHEST = 1_000_000


class Among(TextChoices):
    """Which findings a condition looks at."""

    NEW = "new", "new findings"
    ALL = "all", "all open findings"


@dataclass(frozen=True)
class Condition:
    """Broken when more than `most` findings of this severity or worse are there."""

    among: str = Among.NEW.value
    severity: str = Severity.HIGH.value
    most: int = 0
    only_fixable: bool = False
    kinds: tuple[str, ...] = ()
    """Empty is every kind."""

    def sentence(self) -> str:
        """Return the condition in plain words."""
        worst = "critical " if self.severity == Severity.CRITICAL else ""
        floor = "" if worst or self.severity == Severity.UNKNOWN else f" of severity {self.severity} or worse"
        fixable = " with a known fix" if self.only_fixable else ""
        kinds = f" ({', '.join(Kind(kind).label for kind in self.kinds)})" if self.kinds else ""
        count = "no" if not self.most else f"at most {self.most}"
        new = "new " if self.among == Among.NEW else ""
        return f"{count} {new}{worst}findings{floor}{fixable}{kinds}"

    def stored(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**asdict(self), "kinds": list(self.kinds)}


DEFAULT = (Condition(),)
"""What holds where no policy was made: no new findings that are high or worse."""


def parse(values: Any) -> tuple[Condition, ...]:
    """Return the conditions that JSON describes; raises InvalidInput naming the one that is wrong."""
    if not isinstance(values, list) or len(values) > MOST_CONDITIONS:
        raise InvalidInput.of("conditions", f"must be a list of at most {MOST_CONDITIONS} conditions.")
    return tuple(_one(number, value) for number, value in enumerate(values))


def load(values: Sequence[Mapping[str, Any]]) -> tuple[Condition, ...]:
    """Return stored conditions."""
    return tuple(Condition(**{**value, "kinds": tuple(value.get("kinds", ()))}) for value in values)


def _one(number: int, value: Any) -> Condition:
    at = f"conditions.{number}"
    if not isinstance(value, dict):
        raise InvalidInput.of(at, "must be an object.")
    known = {"among", "severity", "most", "only_fixable", "kinds"}
    if unknown := sorted(set(value) - known):
        raise InvalidInput.of(f"{at}.{ascii(unknown[0])[1:-1][:40]}", f"is not known here; a condition has {', '.join(sorted(known))}.")
    _choice(f"{at}.among", value.get("among", Among.NEW), Among.values)
    _choice(f"{at}.severity", value.get("severity", Severity.HIGH), Severity.values)
    most, fixable, kinds = value.get("most", 0), value.get("only_fixable", False), value.get("kinds", [])
    if isinstance(most, bool) or not isinstance(most, int) or not 0 <= most <= _HIGHEST:
        raise InvalidInput.of(f"{at}.most", f"must be a whole number from 0 to {_HIGHEST}.")
    if not isinstance(fixable, bool):
        raise InvalidInput.of(f"{at}.only_fixable", "must be true or false.")
    if not isinstance(kinds, list):
        raise InvalidInput.of(f"{at}.kinds", "must be a list.")
    for kind in kinds:
        _choice(f"{at}.kinds", kind, Kind.values)
    return Condition(
        value.get("among", Among.NEW.value), value.get("severity", Severity.HIGH.value), most, fixable, tuple(sorted(set(kinds)))
    )


def _choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InvalidInput.of(name, f"must be one of {', '.join(choices)}.")
