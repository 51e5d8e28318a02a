"""The findings behind an event, for connectors that mark all of them; an event itself names the worst five.

`settings.FINDINGS_SOURCE` names who knows them, as EVENT_SINKS names who hears of events: connectors import no app above them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from integrations.contract.message import FindingLine


@dataclass(frozen=True)
class FindingsQuery:
    """Which findings: those that count on the ref of a scan, with a file and line, the worst first, at most `limit`.

    `only_new` leaves out what the default branch has too, or on the default branch what was there before the scanned commit.
    """

    provider: str
    repository: str
    scan_id: str
    only_new: bool = True
    limit: int = 1000


FindingsSource = Callable[[FindingsQuery], Sequence[FindingLine]]


def placed_findings(query: FindingsQuery) -> Sequence[FindingLine]:
    """Return the findings; none where the repository has no such scan."""
    return cast("FindingsSource", import_string(settings.FINDINGS_SOURCE))(query)
