"""Finds deliveries that GitHub made and the portal never took in, and has GitHub send them again.

GitHub repeats no failed delivery by itself. It keeps a list of them for some days, newest first, in which a redelivery has the same
GUID (X-GitHub-Delivery) as what it repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from integrations.connectors.github.client import Client, NotThere, rows
from integrations.connectors.github.reading import moment, number, text

MOST_LOOKED_AT = 5000
MOST_REQUESTED = 200
_SETTLING = timedelta(minutes=2)  # younger ones may be on their way

Received = Callable[[Collection[str]], Collection[str]]
"""Returns those of some GUIDs that were taken in."""


@dataclass(frozen=True)
class Missed:
    """A delivery that was not taken in, however often it was tried; `id` is its latest try's at GitHub."""

    id: int
    guid: str
    event: str
    delivered_at: datetime
    status: str = ""


@dataclass(frozen=True)
class Backfill:
    """What became of a look for missed deliveries; with `more`, another look finds further ones."""

    looked_at: int
    requested: tuple[Missed, ...]
    gone: tuple[Missed, ...] = ()
    """GitHub would not send these again: they are too old."""
    more: bool = False


def backfill(client: Client, full_name: str, hook_id: int, received: Received, since: datetime, now: datetime) -> Backfill:
    """Ask GitHub to send again what a repository's webhook delivered since a moment, and what was not taken in.

    Running it twice does no harm: whoever receives knows a GUID that it has had. Raises OutboundError; what was asked for before
    stays asked for, and is not missed any more once it has come.
    """
    base = f"/repos/{quote(full_name, safe='/')}/hooks/{int(hook_id)}/deliveries"
    looked_at, seen = 0, set[str]()
    requested: list[Missed] = []
    gone: list[Missed] = []
    for page in _pages(client, base, full_name, since):
        looked_at += len(page)
        for missed in _missed(page, received, seen, now - _SETTLING):
            if len(requested) >= MOST_REQUESTED:
                return Backfill(looked_at, tuple(requested), tuple(gone), more=True)
            (requested if _request_again(client, base, missed) else gone).append(missed)
        if looked_at >= MOST_LOOKED_AT:
            return Backfill(looked_at, tuple(requested), tuple(gone), more=True)
    return Backfill(looked_at, tuple(requested), tuple(gone))


def _pages(client: Client, base: str, full_name: str, since: datetime) -> Iterator[list[Mapping[str, Any]]]:
    """Yield the deliveries since a moment, page by page."""
    for reply in client.pages(base, {}, what=f"the deliveries of the webhook of {full_name}"):
        page = rows(reply)
        recent = [row for row in page if (at := moment(row, "delivered_at")) is not None and at >= since]
        yield recent
        if len(recent) < len(page):
            return


def _missed(page: list[Mapping[str, Any]], received: Received, seen: set[str], until: datetime) -> Iterator[Missed]:
    """Yield what was not taken in, each GUID once; pings are of no use later."""
    found = []
    for row in page:
        guid, key, at = text(row, "guid"), number(row, "id"), moment(row, "delivered_at")
        if not guid or key is None or at is None or guid in seen or text(row, "event") == "ping":
            continue
        seen.add(guid)
        if at <= until:  # else its latest try may still be on its way
            found.append(Missed(key, guid, text(row, "event"), at, text(row, "status")))
    known = set(received([one.guid for one in found])) if found else set()
    yield from (one for one in found if one.guid not in known)


def _request_again(client: Client, base: str, missed: Missed) -> bool:
    """Have a delivery sent again; False where GitHub has it no more."""
    try:
        client.post(f"{base}/{missed.id}/attempts", what=f"another attempt of the delivery {missed.id}")
    except NotThere:
        return False
    return True
