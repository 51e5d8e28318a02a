"""An attempt as the delivery's page shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from access.admin_base import show
from templates_app.payloads.selectors import version_names
from webhooks.choices import Outcome
from webhooks.models import DeliveryAttempt

_TONES = {
    Outcome.SUCCESS: show.GOOD,
    Outcome.ACCEPTED: show.INFO,
    Outcome.RETRY: show.WARN,
    Outcome.FAILED: show.BAD,
    Outcome.WORKER_LOST: show.WARN,
}
_PHASES = (
    ("name lookup", "dns_ms"),
    ("connect", "connect_ms"),
    ("TLS", "tls_ms"),
    ("waiting", "first_byte_ms"),
)


@dataclass(frozen=True)
class Bar:
    """A phase of a request: where its bar starts and how long it is, in per cent of the total, and its time in ms."""

    label: str
    start: float
    width: float
    ms: float
    number: int


@dataclass(frozen=True)
class Shown:
    """What the template needs."""

    attempt: DeliveryAttempt
    tone: str
    bars: list[Bar]
    body: str
    made_by: str
    """The version of a payload template that made its body; "" for none."""


def as_shown(attempts: Iterable[DeliveryAttempt]) -> list[Shown]:
    """Return attempts with their timings as bars and their answers made readable."""
    rows = list(attempts)
    names = version_names({row.template_version for row in rows if row.template_version})
    return [
        Shown(
            row,
            _TONES.get(Outcome(row.outcome), show.QUIET),
            timing_bars(row),
            show.pretty_text(row.response_body),
            names.get(row.template_version, "a version that was deleted") if row.template_version else "",
        )
        for row in rows
    ]


def timing_bars(attempt: DeliveryAttempt) -> list[Bar]:
    """Return the phases that were reached one after the other, and what is left until the end."""
    total = attempt.total_ms
    if not total:
        return []
    bars, start = [], 0.0
    for number, (label, name) in enumerate(_PHASES, 1):
        ms = getattr(attempt, name)
        if ms is not None:
            bars.append(_bar(label, start, ms, total, number))
            start += ms
    if total > start:
        unfinished = "until error" if bars or attempt.error_class else "calls"
        label = "reading" if attempt.first_byte_ms is not None else unfinished
        bars.append(_bar(label, start, total - start, total, len(_PHASES) + 1))
    return bars


def _bar(label: str, start: float, ms: float, total: float, number: int) -> Bar:
    left = min(100.0, 100 * start / total)
    return Bar(label, round(left, 2), round(min(100 - left, 100 * ms / total), 2), ms, number)
