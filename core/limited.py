"""Work that another system's limit stops: it is put aside until the limit ends, and people are told until when."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from core.errors import RepoGuardError
from core.http.door import CircuitOpen, QuotaUsedUp, Throttled
from core.work import Later

LIMITS = (Throttled, QuotaUsedUp, CircuitOpen)
"""What a call raises that would work later."""
_UNNAMED_WAIT = 60.0
_LATER = 1.0  # a limit's end is a whole second, and clocks differ


def put_aside(error: RepoGuardError) -> Later:
    """Return what a handler answers to one of LIMITS: go on when it ends."""
    seconds = max(error.retry_after or _UNNAMED_WAIT, 0.0) + _LATER
    now = timezone.now()
    until = now + timedelta(seconds=seconds)
    shown = f"{until:%H:%M} UTC" if until.date() == now.date() else f"{until:%Y-%m-%d %H:%M} UTC"
    return Later(seconds, f"Waits until {shown}, and goes on by itself. {error.message}")
