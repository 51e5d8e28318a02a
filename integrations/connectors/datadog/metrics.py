"""The metrics that an event holds, as series of Datadog (v2): https://docs.datadoghq.com/api/latest/metrics/submit-metrics/. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from integrations.connectors.datadog.tags import tags
from integrations.contract.message import SEVERITIES, Message, Standing
from integrations.contract.outbound import OutgoingEvent
from integrations.messages.reading import amount, by_severity, mapping, word

MAX_BYTES = 500 * 1000
OLDEST, NEWEST = timedelta(minutes=55), timedelta(minutes=9)
"""Datadog drops points older than an hour or more than ten minutes ahead without a word; some time passes on the way."""
_COUNT, _GAUGE = 1, 3
_LONGEST_BUILD = 365 * 86_400


@dataclass(frozen=True)
class Metric:
    """One number."""

    name: str
    value: float
    kind: int = _GAUGE
    unit: str = ""
    beside: tuple[tuple[str, str], ...] = ()
    """Tags of its own."""


def series(event: OutgoingEvent, message: Message, further_tags: Sequence[str], now: datetime) -> list[dict[str, Any]]:
    """Return the series of an event, none where it holds no number worth a graph."""
    metrics = _READERS.get(event.type)
    if metrics is None:
        return []
    at = int((event.timestamp if now - OLDEST <= event.timestamp <= now + NEWEST else now).timestamp())
    about = (("repository", message.repository), ("branch", message.branch), ("provider", message.provider))
    return [
        {
            "metric": f"repoguard.{one.name}",
            "type": one.kind,
            "points": [{"timestamp": at, "value": one.value}],
            "tags": tags((*about, *one.beside), further_tags),
            **({"unit": one.unit} if one.unit else {}),
        }
        for one in metrics(mapping(event.data), message)
    ]


def _gate(data: Mapping[str, Any], message: Message) -> Iterator[Metric]:
    counts = mapping(data.get("counts"))
    yield Metric("gate", float(message.standing is Standing.RESOLVED))
    yield Metric("gate.broken_findings", amount(data.get("broken_count")))
    yield from _by_severity("findings.open", counts.get("all"), _GAUGE)
    yield from _by_severity("findings.not_in_base", counts.get("new"), _GAUGE)


def _scan(data: Mapping[str, Any], message: Message) -> Iterator[Metric]:
    tool = (("tool", word(data.get("tool"))),)
    failed = message.standing is Standing.OPEN
    yield Metric("scan.success", float(not failed), beside=tool)
    if not failed:
        yield Metric("scan.findings", amount(data.get("total")), beside=tool)


def _found(name: str) -> Callable[[Mapping[str, Any], Message], Iterator[Metric]]:
    def metrics(data: Mapping[str, Any], _: Message) -> Iterator[Metric]:
        counted = data.get("by_severity") or {word(data.get("severity")): max(amount(data.get("count")), 1)}
        tool = (("tool", word(data.get("tool"))),)
        for one in _by_severity(f"findings.{name}", counted, _COUNT, tool):
            if one.value:
                yield one

    return metrics


def _build(data: Mapping[str, Any], message: Message) -> Iterator[Metric]:
    beside = (("workflow", word(data.get("workflow"))), ("source", word(data.get("source"))))
    status = word(data.get("status"), 20)
    if status in ("success", "failure", "timed_out"):
        yield Metric("build.success", float(status == "success"), beside=beside)
    took = data.get("duration_seconds")
    if isinstance(took, int | float) and not isinstance(took, bool) and 0 <= took <= _LONGEST_BUILD:
        yield Metric("build.duration", float(took), unit="second", beside=(*beside, ("status", status)))


def _by_severity(name: str, value: Any, kind: int, beside: tuple[tuple[str, str], ...] = ()) -> Iterator[Metric]:
    """Yield a metric for each severity, those with none as well: a graph would go on with the last number."""
    counted = by_severity(value)
    for severity in SEVERITIES:
        yield Metric(name, counted.get(severity, 0), kind, beside=(("severity", severity), *beside))


# single findings are in the event about all of their scan, and a changed gate in that about its result: neither counts twice
_READERS: Mapping[str, Callable[[Mapping[str, Any], Message], Iterator[Metric]]] = {
    "gate.failed": _gate,
    "gate.passed": _gate,
    "scan.completed": _scan,
    "scan.failed": _scan,
    "finding.opened": _found("new"),
    "finding.reopened": _found("reopened"),
    "finding.fixed": _found("fixed"),
    "build.completed": _build,
}
