"""Reports that belong to events. `settings.REPORT_SOURCE` names who makes them, as FINDINGS_SOURCE names who knows the findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from integrations.contract.outbound import OutgoingEvent

FORMATS = (("json", "JSON"), ("sarif", "SARIF"), ("html", "HTML"), ("csv", "CSV"))


@dataclass(frozen=True)
class ReportFile:
    """A report as a file. `ending` without a dot; `content` is empty where `left_out` says why."""

    ending: str
    content_type: str
    content: bytes = field(default=b"", repr=False)
    left_out: str = ""


ReportSource = Callable[[OutgoingEvent, str, int], ReportFile | None]


def report_of(event: OutgoingEvent, format: str, most_bytes: int) -> ReportFile | None:
    """Return the report that belongs to an event, None where none does."""
    return cast("ReportSource", import_string(settings.REPORT_SOURCE))(event, format, most_bytes)
