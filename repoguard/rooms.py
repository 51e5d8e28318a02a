"""Who does what for whom across rooms, as dotted paths: so that a room uses another without importing it. Part of the settings."""

from __future__ import annotations

# who writes rows when something is published (core/bus.py)
EVENT_SINKS = [
    {"sink": "webhooks.fanout.on_events", "required": True, "wants": "webhooks.fanout.wants"},
    {"sink": "scans.commits.on_events", "required": True},
    {"sink": "scans.triggers.sink.on_events", "required": False},
]
# name in ?show= of a badge -> who makes it (core/badges.py)
BADGE_SOURCES = {
    "gate": "scans.badges.gate",
    "findings": "scans.badges.findings",
    "build": "builds.badges.build",
    "success-rate": "builds.badges.success_rate",
}
# who tells connectors the findings behind an event (integrations/findings.py)
FINDINGS_SOURCE = "scans.placed.placed_findings"
# who makes the report that belongs to an event (integrations/report_files.py)
REPORT_SOURCE = "scans.reports.files.report_of"
