"""The organisation that an integration is for, by its id or its slug."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from core.http.door import BadAnswer
from integrations.connectors.snyk.client import Client, NotThere
from integrations.contract.payloads import at, text

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Organisation:
    """One organisation."""

    id: str
    slug: str
    name: str


def organisation(client: Client, wanted: str) -> Organisation:
    """Return the organisation with this id or slug. Raises OutboundError: NotThere where the token sees none."""
    if _ID.fullmatch(wanted):
        found = _read(at(client.get(f"/orgs/{wanted.lower()}", what=f"the organisation {wanted}").json(), "data"))
        if found is None:
            raise BadAnswer("Snyk answered without the organisation. Check that the integration's address is that of its API.")
        return found
    others: list[str] = []
    for page in client.pages("/orgs", {"slug": wanted.lower()}, what="the organisations"):
        for row in page.rows:
            one = _read(row)
            if one is not None and one.slug.lower() == wanted.lower():
                return one
            others += [one.slug] if one is not None else []
    seen = f" It sees {client.shown(', '.join(others[:5]))}." if others else ""
    raise NotThere(
        f"Snyk knows no organisation {wanted} in {client.place.words}, or hides it from this token.{seen} Check the slug, or take the"
        " organisation's id, and see that the region is the account's."
    )


def _read(row: Any) -> Organisation | None:
    id, slug = text(at(row, "id"), 100), text(at(row, "attributes", "slug"))
    return Organisation(id, slug, text(at(row, "attributes", "name")) or slug) if _ID.fullmatch(id) else None
