"""Events for tests of destinations and messages: one of every type, huge ones, hostile ones; and golden files.

    UPDATE_GOLDEN=1 pytest tests/connectors/…

writes the golden files anew; look at the difference before you commit it.
"""

from __future__ import annotations

import json
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from core.event_types import catalogue
from integrations.contract.outbound import OutgoingEvent
from integrations.messages.digests import DIGEST_TYPE
from integrations.messages.reading import repository_of

AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
ID = uuid.UUID("0192f0c1-2b3c-7d4e-8f50-61728394a5b8")
LINK = f"https://repoguard.example.com/admin/core/event/{ID}/change/"
HOSTILE = (
    "<!channel> <!here> <@U123> @everyone @here <at>all</at> &amp; <script>alert(1)</script> [x](javascript:alert(1)) "
    '"quoted" \\ `code` *bold* _it_ ~s~ | {{ secrets }} {% raw %} ${jndi:ldap://x} %%% \r\nBcc: all@example.com\x00\x07\ud800\u202e\u2028 '
    "![i](https://evil.example/p.png) </p></td> {color:red}x{color} [~accountid:1] #1 GH-1 closes #2 @acme/all ::set-output:: 🙈"
)
GOLDEN_TYPES = (
    "gate.failed", "gate.passed", "scan.started", "scan.completed", "scan.failed", "finding.opened", "finding.opened.single",
    "finding.fixed.single", "build.failed", "build.recovered", "repository.pushed", "integration.unhealthy", "webhook.test",
)  # fmt: skip


def outgoing(type: str, data: dict[str, Any], **more: Any) -> OutgoingEvent:
    """Return an event as the engine hands it out."""
    body = json.dumps({"id": str(ID), "type": type, "timestamp": "2026-11-20T09:30:00.000Z", "data": data}).encode()
    named = f"{data.get('provider') or 'github'}:{repository_of(data)}"
    values: dict[str, Any] = {"id": ID, "timestamp": AT, "link": LINK, "delivery_id": uuid.UUID(int=9), "about": named} | more
    return OutgoingEvent(type=type, data=json.loads(body)["data"], body=body, **values)


def example(type: str, **data: Any) -> OutgoingEvent:
    """Return an event as the catalogue shows it; `data` over the example's."""
    found = catalogue.find(type)
    assert found is not None, type
    return outgoing(type, found.example | data)


def every_type() -> list[OutgoingEvent]:
    """Return an event of every type that is declared."""
    return [example(found.example_name) for found in catalogue.all()]


def digest(events: list[OutgoingEvent], count: int | None = None) -> OutgoingEvent:
    """Return a digest of events."""
    told = [{"id": str(one.id), "type": one.type, "timestamp": one.timestamp.isoformat(), "data": dict(one.data)} for one in events]
    return outgoing(DIGEST_TYPE, {"count": count or len(told), "events": told})


def finding(number: int, text: str = "Prototype pollution in lodash", severity: str = "high") -> dict[str, Any]:
    """Return a finding as events name it."""
    return {
        "finding_id": str(uuid.UUID(int=number + 1)), "title": f"{text} {number}", "rule": f"RULE-{number}", "severity": severity,
        "cvss": 7.4, "identifiers": [f"CVE-2026-{1000 + number}"], "known_exploited": number % 2 == 0, "epss": 0.1, "location": None,
        "package": {"ecosystem": "npm", "name": f"pkg-{number}", "version": "1.0", "fixed_version": "1.1"},
        "url": f"https://repoguard.example.com/admin/scans/finding/{uuid.UUID(int=number + 1)}/change/",
    }  # fmt: skip


def gate(findings: int = 7, text: str = "Prototype pollution in lodash", reasons: int = 2, **data: Any) -> OutgoingEvent:
    """Return a failed gate with so many findings, of texts as given."""
    named = [finding(number, text, ("critical", "high")[number % 2]) for number in range(min(findings, 400))]
    return example(
        "gate.failed", findings=named, broken_count=findings, reasons=[f"{text}: condition {number}" for number in range(reasons)],
        counts={"new": {"critical": findings, "high": 3}, "all": {"critical": findings, "high": 300, "medium": 1200}}, **data,
    )  # fmt: skip


def monsters() -> list[OutgoingEvent]:
    """Return events that no scanner would send, and some did; none is larger than an event may be (5 MB)."""
    long = HOSTILE * 40
    return [
        outgoing("gate.failed", {}),
        outgoing("custom.x", {}),
        outgoing(
            "custom.x", {"title": HOSTILE, "message": long, "repository": HOSTILE, "ref": HOSTILE, "commit": HOSTILE, "url": "javascript:x"}
        ),
        outgoing("custom.x", {str(number): HOSTILE for number in range(500)}),
        gate(100, long, 100, repository=HOSTILE, ref=long, commit=long, policy=long),
        gate(1_000_000, HOSTILE, 60, repository="ü" * 300, url="https://example.com/" + "a" * 1900),
        gate(50, "🙈" * 3_000, 50),
        gate(5, "&<>" * 3_000, 5),
        example("scan.failed", error=long, repository=HOSTILE, tool=HOSTILE),
        example("finding.opened.single", **finding(1, HOSTILE)),
        example("build.failed", workflow=HOSTILE, project=HOSTILE, branch=HOSTILE),
        outgoing("finding.opened", {"findings": None, "count": -5, "by_severity": "x", "title": None, "repository": [1]}),
        outgoing("scan.completed", {"by_severity": {"<b>": 4, "high": "x"}, "top_findings": [1, None, {}], "new": 1e99}),
        digest([gate(5, long, 5), *every_type()] * 8, count=9_999),
    ]


_texts = st.text(max_size=40) | st.sampled_from(
    [HOSTILE, "", "<!channel>", "@everyone", "\x00", "\ud800", "a" * 5_000, "&" * 4_000, "🙈" * 2_000]
)
_leaves = st.none() | st.booleans() | st.integers(-10, 10**12) | st.floats(allow_nan=False, allow_infinity=False) | _texts
_values = st.recursive(_leaves, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(_texts, inner, max_size=6), max_leaves=12)
_NAMES = (
    "repository", "ref", "branch", "commit", "url", "title", "message", "error", "status", "result", "previous", "reasons", "findings",
    "top_findings", "counts", "by_severity", "count", "broken_count", "new", "workflow", "events", "policy", "finding_id", "severity",
)  # fmt: skip


@st.composite
def hostile_events(draw: st.DrawFn) -> OutgoingEvent:
    """Draw an event of any type whose data is whatever a sender may have put there."""
    kind = draw(st.sampled_from([found.example_name for found in catalogue.all()]))
    found = catalogue.find(kind)
    base = dict(found.example) if found is not None and draw(st.booleans()) else {}
    return outgoing(kind, base | draw(st.dictionaries(st.sampled_from(_NAMES), _values, max_size=10)))


def golden(folder: Path, name: str, value: Any) -> None:
    """Hold what is sent against the golden file `<folder>/golden/<name>`; a text as it is, anything else as JSON."""
    path = folder / "golden" / name
    shown = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown)
    assert path.exists(), f"{path} is missing: UPDATE_GOLDEN=1 writes it."
    assert shown == path.read_text()
