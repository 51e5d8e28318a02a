"""The events of gates."""

from __future__ import annotations

from collections import Counter
from typing import Any

from core import bus
from core.bus import Announcement
from integrations.models import Repository
from scans.digests import TOP, page, short
from scans.models import Finding, GateResult


def announce_gate(repository: Repository, gate: GateResult, previous: str) -> None:
    """Publish a decision that was made anew and is another one, in the caller's transaction."""
    bus.publish_all(gate_events(repository, gate, previous, str(gate.id)))


def gate_events(repository: Repository, gate: GateResult, previous: str | None, key: str) -> list[Announcement]:
    """Return what is said of a decision; `key` names what led to it, so that it is said once."""
    data = {
        "repository": repository.full_name,
        "provider": repository.provider,
        "scan_id": str(gate.scan_id),
        "commit": gate.commit,
        "ref": gate.ref,
        "result": str(gate.decision),
        "previous": previous,
        "cause": str(gate.cause),
        "policy": gate.policy_name,
        "policy_version": gate.policy_version,
        "reasons": [one["sentence"] for one in gate.conditions if not one["passed"]],
        "broken_count": gate.broken_count,
        "counts": gate.counts,
        "findings": breaking(gate),
        "url": page("scan", gate.scan_id),
    }
    types = [f"gate.{gate.decision}", *(["gate.changed"] if previous not in (None, gate.decision) else [])]
    return [Announcement(type, data, repository.owner_id, repository.id, idempotency_key=f"{type}:{key}") for type in types]


def breaking(gate: GateResult) -> list[dict[str, Any]]:
    """Return the worst findings of all conditions that are broken; a result names the worst of each first."""
    named: dict[str, int] = {}
    taken: Counter[int] = Counter()
    for one in gate.broken_by:
        taken[one["condition"]] += 1
        if taken[one["condition"]] <= TOP:
            named.setdefault(one["finding_id"], one["condition"])
    broke = Finding.objects.filter(id__in=named).order_by("-severity_rank", "id")[:TOP] if named else []
    return [short(one) | {"condition": gate.conditions[named[str(one.id)]]["sentence"]} for one in broke]
