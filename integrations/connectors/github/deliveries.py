"""Finds deliveries that GitHub made and the portal never took in, and has GitHub send them again.

GitHub repeats no failed delivery by itself. It keeps a list of them for some days, newest first, in which a redelivery has the same
GUID (X-GitHub-Delivery) as what it repeats. See https://docs.github.com/en/rest/repos/webhooks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from core.errors import OutboundError
from core.http.door import BadAnswer, Reply
from integrations.connectors.github.client import MOST_A_PAGE, Client, NotThere, next_link, rows
from integrations.connectors.github.reading import moment, number, part, text
from integrations.contract.backfill import MissedQuery, MissedStep, Received

KEPT_DAYS = 3
MOST_LOOKED_AT = 20_000
MOST_REQUESTED = 500  # GitHub takes about as many requests an hour that make something
REQUESTED_A_STEP = 10
_SETTLING = timedelta(minutes=2)  # younger ones may be on their way


class HookUnknown(BadAnswer):
    """None of the webhooks leads to the source."""

    code = "hook_unknown"


@dataclass(frozen=True)
class Missed:
    """A delivery that was not taken in, however often it was tried; `id` is its latest try's at GitHub."""

    id: int
    guid: str
    young: bool


@dataclass
class _Place:
    """Where a look stands: at the page `after`, which is `counted` from when it is begun.

    `seen` are the GUIDs that were dealt with and did not arrive yet: older tries of them follow in the list.
    """

    hook: int | None = None
    after: str = ""
    counted: bool = False
    looked_at: int = 0
    requested: int = 0
    seen: list[str] = field(default_factory=list)

    def cursor(self) -> Mapping[str, Any]:
        return {**vars(self), "seen": list(self.seen)}


def request_missed(
    client: Client, query: MissedQuery, received: Received, cursor: Mapping[str, Any], now: datetime
) -> Iterator[MissedStep]:
    """Ask GitHub to send again what a webhook delivered since a moment, and what was not taken in. Raises OutboundError."""
    place = _Place(**cursor)
    name = str(query.options["hook_of"])
    hooks = f"/{'repos' if '/' in name else 'orgs'}/{quote(name, safe='/')}/hooks"
    if place.hook is None:
        place.hook = query.options.get("hook_id") or _found(client, hooks, name, query.addresses)
        yield MissedStep(place.cursor())
    base, what = f"{hooks}/{int(place.hook)}/deliveries", f"the deliveries of the webhook {int(place.hook)} of {name}"
    while True:
        params = {"per_page": str(MOST_A_PAGE)} | ({"cursor": place.after} if place.after else {})
        reply = client.get(base, params, what=what)
        page = rows(reply)
        recent = [row for row in page if (at := moment(row, "delivered_at")) is not None and at >= query.since]
        if not place.counted:
            place.counted, place.looked_at = True, place.looked_at + len(recent)
            yield MissedStep(place.cursor(), looked_at=len(recent))
        missed = _missed(recent, received, place.seen, now - _SETTLING)
        yield from _request(client, base, missed, place)
        place.after, place.counted = _next_cursor(reply) if len(recent) == len(page) else "", False
        full = place.requested >= MOST_REQUESTED or place.looked_at >= MOST_LOOKED_AT
        yield MissedStep(place.cursor(), more=full and bool(place.after))
        if full or not place.after:
            return


def _found(client: Client, hooks: str, name: str, addresses: Sequence[str]) -> int:
    """Return the id of the webhook that leads to one of the addresses. Raises OutboundError."""
    wanted = {_destination(address) for address in addresses}
    for reply in client.pages(hooks, {}, what=f"the webhooks of {name}"):
        for row in rows(reply):
            key = number(row, "id")
            if key is not None and _destination(text(part(row, "config"), "url")) in wanted:
                return key
    raise HookUnknown(
        f"None of the webhooks of {name} leads to this source. Enter {addresses[0]} there as the payload URL, or name the webhook by its id"
        " (hook_id) in the source's options.",
        permanent=True,
    )


def _destination(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", url
    return parts.netloc.lower(), parts.path.rstrip("/")


def _missed(page: list[Mapping[str, Any]], received: Received, seen: Sequence[str], until: datetime) -> list[Missed]:
    """Return what was not taken in, each GUID once; pings are of no use later."""
    found: dict[str, Missed] = {}
    known = set(seen)
    for row in page:
        guid, key, at = text(row, "guid"), number(row, "id"), moment(row, "delivered_at")
        if not guid or key is None or at is None or guid in known or guid in found or text(row, "event") == "ping":
            continue
        found[guid] = Missed(key, guid, young=at > until)
    had = set(received(list(found))) if found else set()
    return [one for one in found.values() if one.guid not in had]


def _request(client: Client, base: str, missed: Sequence[Missed], place: _Place) -> Iterator[MissedStep]:
    """Have deliveries sent again, a few a step; the step is also told where GitHub refuses in its middle."""
    requested = gone = 0
    try:
        for one in missed:
            if not one.young:  # else its latest try may still be on its way
                done = _request_again(client, base, one)
                requested, gone = requested + done, gone + (not done)
                place.requested += done
            place.seen.append(one.guid)
            if requested + gone >= REQUESTED_A_STEP:
                yield MissedStep(place.cursor(), requested=requested, gone=gone)
                requested = gone = 0
    except OutboundError:
        yield MissedStep(place.cursor(), requested=requested, gone=gone)
        raise
    yield MissedStep(place.cursor(), requested=requested, gone=gone)


def _request_again(client: Client, base: str, missed: Missed) -> bool:
    """Have a delivery sent again; False where GitHub has it no more."""
    try:
        client.post(f"{base}/{missed.id}/attempts", what=f"another attempt of the delivery {missed.id}")
    except NotThere:
        return False
    return True


def _next_cursor(reply: Reply) -> str:
    """Return where GitHub's next page begins, "" on the last one."""
    return parse_qs(urlsplit(next_link(reply)).query).get("cursor", [""])[0]
