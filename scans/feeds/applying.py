"""Brings what the lists say to the findings: one statement for many of them, which writes only those that differ.

A finding goes by all of its names: those that its sources give (also where there are several CVEs, which are no way from one finding to
another), and those by which packages are found again. It takes the highest EPSS among them, and is known to be exploited if any is.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Sequence
from typing import Any

from django.db import connection
from django.utils import timezone

from integrations.contract.feeds import FeedName
from integrations.models import Repository
from scans.feeds.news import News, announce
from scans.models import FeedState, Finding, Scan
from scans.selectors import counted

_APPLY = """
UPDATE scans_finding AS f SET {assigned} FROM (
    WITH wanted (id) AS ({wanted}) SELECT n.id AS id, {chosen} FROM (
        SELECT w.id AS id, '' AS value FROM wanted w
        UNION ALL SELECT i.finding_id, i.value FROM wanted w JOIN scans_findingidentifier i ON i.finding_id = w.id
        UNION ALL SELECT g.id, {value} FROM wanted w JOIN scans_finding g ON g.id = w.id, {each}
    ) AS n {joined} GROUP BY n.id
) AS found WHERE f.id = found.id AND ({present}) {differ} ({new})
"""
_COLUMNS: dict[str, dict[str, str]] = {
    FeedName.EPSS: {"epss": "max(s.epss)", "epss_percentile": "max(s.percentile)"},
    FeedName.KEV: {"known_exploited": "count(k.cve) > 0", "exploited_due": "min(k.due_date)"},
}
_JOINS: dict[str, str] = {
    FeedName.EPSS: "LEFT JOIN scans_vulnerabilityscore s ON s.cve = n.value",
    FeedName.KEV: "LEFT JOIN scans_knownexploited k ON k.cve = n.value",
}


def enrich(scan: Scan, repository: Repository, ids: Collection[uuid.UUID]) -> None:
    """Give findings that a scan made or changed what the lists say, in the transaction that makes them visible.

    A finding that was there before, and turns out to be known as exploited, is news; a new one is announced as such.
    """
    loaded = list(FeedState.objects.filter(rows__gt=0).values_list("feed", flat=True))
    if not ids or not loaded:
        return
    _, exploited = apply(list(ids), loaded)
    if not exploited:
        return
    news = News()
    news.add(list(Finding.objects.filter(id__in=exploited).exclude(first_scan_id=scan.id).values_list("id", flat=True)))
    announce(news, repository, f"scan:{scan.id}")


def apply(ids: Sequence[uuid.UUID], feeds: Collection[str]) -> tuple[int, list[uuid.UUID]]:
    """Set what lists that were read say of findings; returns how many were changed, and which that count are known as exploited since."""
    if not ids or not feeds:
        return 0, []
    columns = {name: expression for feed in sorted(feeds) for name, expression in _COLUMNS[feed].items()}
    watches = FeedName.KEV in feeds
    exploited = Finding.objects.filter(id__in=ids, known_exploited=True)
    before = set(exploited.values_list("id", flat=True)) if watches else set()
    parameters: list[Any] = [_many(ids)]
    assigned = [f"{name} = found.{name}" for name in columns]
    if watches:  # not with scores, which drift every day
        assigned.append("updated_at = %s")
        parameters.insert(0, timezone.now())
    postgres = connection.vendor == "postgresql"
    statement = _APPLY.format(
        wanted="SELECT unnest(%s::uuid[])" if postgres else "SELECT value FROM json_each(%s)",
        assigned=", ".join(assigned),
        chosen=", ".join(f"{expression} AS {name}" for name, expression in columns.items()),
        value="e.value ->> 1" if postgres else "json_extract(e.value, '$[1]')",
        each="jsonb_array_elements(g.identifiers) AS e" if postgres else "json_each(g.identifiers) AS e",
        joined=" ".join(_JOINS[feed] for feed in sorted(feeds)),
        present=", ".join(f"f.{name}" for name in columns),
        differ="IS DISTINCT FROM" if postgres else "IS NOT",
        new=", ".join(f"found.{name}" for name in columns),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        changed = int(cursor.rowcount)
    if not watches or not changed:
        return changed, []
    return changed, [id for id in counted(exploited).values_list("id", flat=True) if id not in before]


def _many(ids: Sequence[uuid.UUID]) -> Any:
    return list(ids) if connection.vendor == "postgresql" else json.dumps([one.hex for one in ids])
