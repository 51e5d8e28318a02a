"""KEV: CISA's catalogue as one JSON file. https://www.cisa.gov/known-exploited-vulnerabilities-catalog"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import IO, Any

from core.errors import InvalidInput
from core.http.door import MEGABYTE
from core.texts import storable
from integrations.choices import Category
from integrations.contract.connector import Checker, CheckResult
from integrations.contract.feeds import (
    NOT_MODIFIED,
    Exploited,
    FeedHead,
    FeedMark,
    FeedName,
    FeedRow,
    FetchedFeed,
    VulnerabilityFeed,
    checked_cve,
    fetched,
    pieces,
    refuse_page,
)
from integrations.contract.fields import Field, FieldKind

MOST_BYTES = 20 * MEGABYTE
"""Unpacked; today's file has 1.3 MB, so that it may be parsed whole."""
_FOREIGN = "It is not CISA's catalogue (known_exploited_vulnerabilities.json)"
_LONGEST_NAME, _LONGEST_ACTION = 200, 2000


class Kev(Checker, VulnerabilityFeed):
    """The place where the catalogue lies: CISA's own, or a mirror of it."""

    key = "kev"
    title = "CISA KEV"
    description = "Vulnerabilities that are known to be exploited: CISA's catalogue."
    categories = (Category.SECURITY,)
    docs = "https://www.cisa.gov/known-exploited-vulnerabilities-catalog"
    fields = (
        Field(
            "url", "Address of the file", FieldKind.URL,
            default="https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json", help="CISA's, or a mirror.",
        ),
    )  # fmt: skip
    feed = FeedName.KEV

    def check(self) -> CheckResult:
        """Ask for the file's headers."""
        refuse_page(self.door.request("HEAD", self._url()), self.title)
        return CheckResult("The catalogue is there.")

    def fetch(self, last: FeedMark) -> FetchedFeed | None:
        """Return the catalogue."""
        url = self._url()
        reply = self.door.request("GET", url, headers=last.conditions(url), expected=(200, NOT_MODIFIED))
        refuse_page(reply, self.title)
        return fetched(reply, url)

    @classmethod
    def read(cls, file: IO[bytes]) -> tuple[FeedHead, Iterator[FeedRow]]:
        """Return head and rows of a catalogue."""
        try:
            found = json.loads(b"".join(pieces(file, MOST_BYTES)))
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"{_FOREIGN}, or not all of it: it is not JSON. Download it again.", code="foreign_file") from error
        found = found if isinstance(found, dict) else {}
        version, released, rows, count = (found.get(name) for name in ("catalogVersion", "dateReleased", "vulnerabilities", "count"))
        if not (isinstance(version, str) and isinstance(released, str) and isinstance(rows, list) and isinstance(count, int)):
            raise InvalidInput(f"{_FOREIGN}: it lacks catalogVersion, dateReleased, count or vulnerabilities.", code="foreign_file")
        return FeedHead(storable(version)[:60], _day(released, "dateReleased"), count), _rows(rows)

    def _url(self) -> str:
        return str(self.config["url"])


def _rows(rows: list[Any]) -> Iterator[FeedRow]:
    for number, one in enumerate(rows):
        where = f"vulnerabilities[{number}]"
        if not isinstance(one, dict):
            raise InvalidInput(f"{where} is no object. {_FOREIGN}.", code="foreign_file")
        due = one.get("dueDate")
        yield Exploited(
            cve=checked_cve(str(one.get("cveID", "")), where),
            date_added=_day(one.get("dateAdded"), f"{where}.dateAdded"),
            due_date=_day(due, f"{where}.dueDate") if due else None,
            ransomware=str(one.get("knownRansomwareCampaignUse", "")).lower() == "known",
            vendor=storable(str(one.get("vendorProject", "")))[:_LONGEST_NAME],
            product=storable(str(one.get("product", "")))[:_LONGEST_NAME],
            action=storable(str(one.get("requiredAction", "")))[:_LONGEST_ACTION],
        )


def _day(value: Any, where: str) -> date:
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError as error:
        raise InvalidInput(f"{where} is no day. {_FOREIGN}.", code="foreign_file") from error
