"""The events of scans, findings and gates: one digest for a scan, however many findings it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core import bus
from core.bus import Announcement
from integrations.models import Integration
from scans.digests import TOP, page, short
from scans.events import MOST_SINGLE, SINGLE
from scans.gate_events import gate_events
from scans.ingest.settling import Written
from scans.ingest.told import Told
from scans.models import Finding, GateResult, Scan


def announce_started(scan: Scan) -> None:
    """Publish scan.started, in the caller's transaction."""
    bus.publish_all([_event(scan, "scan.started", _about(scan) | {"status": "running"})])


def announce_failed(scan: Scan, sentence: str) -> None:
    """Publish scan.failed, in the caller's transaction."""
    bus.publish_all([_event(scan, "scan.failed", _about(scan) | {"status": "failed", "error": sentence[:2000]})])


def announce_ended(scan: Scan, written: Written, gate: GateResult | None) -> None:
    """Publish what a scan found, and what the gate decided, if it was; in the transaction that completes the scan."""
    about = _about(scan)
    counts = {"new": scan.new, "fixed": scan.fixed, "reopened": scan.reopened, "total": scan.total, "by_severity": scan.by_severity}
    opened = _digest(written.new)
    ended = {"status": str(scan.outcome), "top_findings": opened.get("findings", [])} | ({"gate": gate.decision} if gate else {})
    events = [_event(scan, "scan.completed", about | counts | ended)]
    told = (
        ("opened", opened, written.new),
        ("reopened", _digest(written.reopened), written.reopened),
        ("fixed", _digest(written.fixed), written.fixed),
    )
    for kind, digest, findings in told:
        if digest:
            events.append(_event(scan, f"finding.{kind}", about | digest))
            events += _singly(scan, f"finding.{kind}{SINGLE}", about, findings)
    if gate:
        before = GateResult.objects.filter(repository_id=scan.repository_id, ref=scan.ref, id__lt=gate.id).order_by("-id")
        events += gate_events(scan.repository, gate, before.values_list("decision", flat=True).first(), str(scan.id))
    bus.publish_all(events)


def _integration(scan: Scan) -> str | None:
    if scan.integration_id is None:
        return None
    # its name alone: credentials that can't be decrypted must not keep a scan from ending
    return Integration.stored.filter(pk=scan.integration_id).values_list("name", flat=True).first()


def _about(scan: Scan) -> dict[str, Any]:
    return {
        "scan_id": str(scan.id),
        "repository": scan.repository.full_name,
        "provider": scan.repository.provider,
        "tool": ", ".join(scan.tools),
        "ref": scan.ref,
        "commit": scan.commit,
        "trigger": str(scan.trigger),
        "integration": _integration(scan),
        "url": page("scan", scan.id),
    }


def _digest(told: Told) -> dict[str, Any]:
    """Return what is told of these findings at once: the worst of them, how many there are; nothing where none of them counts."""
    shown = _worst(told, TOP)
    return {**shown[0], "count": told.by_severity.total(), "by_severity": dict(told.by_severity), "findings": shown} if shown else {}


def _singly(scan: Scan, type: str, about: dict[str, Any], told: Told) -> list[Announcement]:
    """Return an event for each of the worst of these findings, where a webhook asks for them so."""
    if not bus.is_wanted(type, scan.repository.owner_id):
        return []
    return [
        _event(scan, type, about | one | {"count": 1, "by_severity": {one["severity"]: 1}, "findings": [one]}, f":{one['finding_id']}")
        for one in _worst(told, MOST_SINGLE)
    ]


def _worst(told: Told, most: int) -> list[dict[str, Any]]:
    """Return what is told of the worst of these findings that count."""
    ids = told.worst(most)
    found = Finding.objects.in_bulk(ids) if ids else {}
    return [short(found[id]) for id in ids if id in found]


def _event(scan: Scan, type: str, data: dict[str, Any], part: str = "") -> Announcement:
    repository = scan.repository
    return Announcement(type, data, repository.owner_id, repository.id, idempotency_key=f"{type}:{scan.id}{part}")


def announce_decision(type: str, findings: Sequence[Finding], **more: Any) -> None:
    """Publish finding.accepted or finding.expired, in the caller's transaction; the findings are of one repository."""
    repository = findings[0].repository
    data = {
        "repository": repository.full_name,
        "provider": repository.provider,
        "ref": repository.default_branch,
        **short(findings[0]),
        "count": len(findings),
        "findings": [short(one) for one in findings[:TOP]],
        **{name: value for name, value in more.items() if value is not None},
    }
    bus.publish(type, data, owner_id=repository.owner_id, repository_id=repository.id)
