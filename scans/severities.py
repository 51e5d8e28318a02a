"""Which severity is worse."""

from __future__ import annotations

from scans.choices import Severity

WORST_FIRST = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFO, Severity.UNKNOWN)
_RANKS = {one.value: number for number, one in enumerate(reversed(WORST_FIRST))}


def rank(severity: str) -> int:
    """Return a number that rises with the severity: 0 for unknown, 5 for critical."""
    return _RANKS.get(severity, 0)
