"""The report that belongs to an event: what its scan's ref holds when it is made."""

from __future__ import annotations

from core.ids import is_uuid
from integrations.contract.outbound import OutgoingEvent
from integrations.report_files import ReportFile
from scans.models import Scan
from scans.reports.answering import ReportFormat, pieces
from scans.reports.scope import Scope

_FAMILIES = ("scan.completed", "gate.")


def report_of(event: OutgoingEvent, format: str, most_bytes: int) -> ReportFile | None:
    """Return it for completed scans and gates: of a scan of the repository that the event belongs to.

    An id that somebody made up, or that stands in an example, must not bring another repository's findings.
    """
    scan_id = event.data.get("scan_id")
    if not event.type.startswith(_FAMILIES) or not isinstance(scan_id, str) or not is_uuid(scan_id):
        return None
    scan = Scan.objects.filter(id=scan_id).select_related("repository").only("repository", "ref").first()
    if scan is None or event.about != f"{scan.repository.provider}:{scan.repository.full_name}":
        return None
    ending, content_type, parts = pieces(Scope(repository=scan.repository, ref=scan.ref), ReportFormat(format))
    held, size = [], 0
    for part in parts:
        size += len(part)
        if size > most_bytes:
            return ReportFile(ending, content_type, left_out=f"The report is larger than {most_bytes:,} bytes.")
        held.append(part)
    return ReportFile(ending, content_type, b"".join(held))
