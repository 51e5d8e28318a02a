"""What an event leaves behind as metrics: one group for each gate, scanner and workflow of a repository's branch. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from integrations.connectors.prometheus_pushgateway.exposition import Family, Sample
from integrations.contract.message import SEVERITIES, Message, Standing
from integrations.contract.outbound import NothingToTell, OutgoingEvent
from integrations.messages.reading import amount, by_severity, mapping, word

EVERY_BRANCH = "*"
_LONGEST_BUILD = 365 * 86_400
_ENDED = {"success": 1, "failure": 0, "timed_out": 0}


@dataclass(frozen=True)
class Group:
    """What stands under one set of labels; the next event of the same kind puts all of it aside."""

    labels: Mapping[str, str]
    families: tuple[Family, ...]


def group_of(event: OutgoingEvent, message: Message) -> Group:
    """Return the group of an event. Raises NothingToTell for one that holds no numbers."""
    data, family = mapping(event.data), event.type.split(".", 1)[0]
    at = event.timestamp
    if event.type == "webhook.test":
        return Group(
            {"instance": "webhook-test"}, (_time("repoguard_webhook_test_timestamp_seconds", "When a webhook was last tested.", at),)
        )
    if family not in ("gate", "scan", "build") or event.type in ("scan.started", "build.started"):
        raise NothingToTell("events of this type hold no numbers that are pushed.")
    if not message.repository:
        raise NothingToTell("it names no repository.")
    provider = message.provider or word(data.get("source"), 100)
    labels = {"repository": message.repository, "provider": provider, "branch": message.branch}
    if family == "gate":
        return Group(labels, _gate(data, message, at))
    if family == "scan":
        return Group(labels | {"tool": word(data.get("tool"), 100)}, _scan(data, message, at))
    return Group(labels | {"workflow": word(data.get("workflow"))}, _build(data, at))


def check_branch(message: Message, branches: tuple[str, ...] | list[str]) -> None:
    """Raise NothingToTell for a branch that is not chosen: a Pushgateway never forgets a group, and branches come and go."""
    if message.branch and message.branch not in branches and EVERY_BRANCH not in branches:
        raise NothingToTell(f"its branch is none of those whose metrics are pushed ({', '.join(branches[:10])}).")


def _gate(data: Mapping[str, Any], message: Message, at: datetime) -> tuple[Family, ...]:
    counts = mapping(data.get("counts"))
    counted = [
        Sample(by_severity(counts.get(scope)).get(severity, 0), {"scope": scope, "severity": severity})
        for scope in ("all", "new")
        for severity in SEVERITIES
    ]
    return (
        _one("repoguard_gate_passed", "Whether the gate passed (1) or failed (0).", message.standing is Standing.RESOLVED),
        _one("repoguard_gate_broken_findings", "How many findings break the policy.", amount(data.get("broken_count"))),
        Family("repoguard_gate_findings", "How many findings the gate looked at: all that count, and those new among them.", counted),
        _time("repoguard_gate_decided_timestamp_seconds", "When the gate was decided.", at),
    )


def _scan(data: Mapping[str, Any], message: Message, at: datetime) -> tuple[Family, ...]:
    failed = message.standing is Standing.OPEN
    found = (
        ("repoguard_scan_findings", "How many findings the report held.", "total"),
        ("repoguard_scan_new_findings", "How many findings were new in the scan.", "new"),
        ("repoguard_scan_fixed_findings", "How many findings were gone since the scan before.", "fixed"),
    )
    return (
        _one("repoguard_scan_success", "Whether the scan was completed (1) or failed (0).", not failed),
        *(() if failed else (_one(name, about, amount(data.get(field))) for name, about, field in found)),
        _time("repoguard_scan_ended_timestamp_seconds", "When the scan ended.", at),
    )


def _build(data: Mapping[str, Any], at: datetime) -> tuple[Family, ...]:
    status, took = word(data.get("status"), 20), data.get("duration_seconds")
    if status not in _ENDED:
        raise NothingToTell(f"a run that is {status or 'of no status'} neither succeeded nor failed.")
    measured = isinstance(took, int | float) and not isinstance(took, bool) and 0 <= took <= _LONGEST_BUILD
    return (
        _one("repoguard_build_success", "Whether the run succeeded (1) or failed (0).", _ENDED[status]),
        *((_one("repoguard_build_duration_seconds", "How long the run took.", float(took or 0)),) if measured else ()),
        _time("repoguard_build_ended_timestamp_seconds", "When the end of the run became known.", at),
    )


def _one(name: str, about: str, value: float) -> Family:
    return Family(name, about, (Sample(value),))


def _time(name: str, about: str, at: datetime) -> Family:
    return _one(name, about, round(at.astimezone(UTC).timestamp(), 3))
