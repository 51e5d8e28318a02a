"""The findings of a scan's ref that stand on a line of a file, for those who mark them there (integrations/findings.py)."""

from __future__ import annotations

import uuid

from integrations.contract.message import FindingLine
from integrations.findings import FindingsQuery
from integrations.messages.reading import finding_line
from scans.digests import short
from scans.gates.reading import Findings, Subject
from scans.models import Scan


def placed_findings(query: FindingsQuery) -> list[FindingLine]:
    """Return what the ref of a scan has now, the worst first. Four statements, however many there are."""
    try:
        scan_id = uuid.UUID(query.scan_id)
    except ValueError:
        return []
    # the name, too: the id of a scan in an event that somebody made up must not show another repository's findings
    of_it = Scan.objects.filter(id=scan_id, repository__provider=query.provider, repository__full_name=query.repository)
    scan = of_it.select_related("repository").first()
    if scan is None:
        return []
    rows = Findings(Subject(scan.repository, scan.ref, scan.commit, scan.id)).placed(only_new=query.only_new)
    return [finding_line(short(finding)) for finding in rows.order_by("-severity_rank", "id")[: query.limit]]
