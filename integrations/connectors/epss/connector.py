"""EPSS: FIRST's daily scores of all CVEs, as one file. https://www.first.org/epss/data_stats"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import IO

from core.errors import InvalidInput
from core.http.door import MEGABYTE, BadAnswer, Reply
from core.texts import storable
from integrations.choices import Category
from integrations.contract.connector import Checker, CheckResult
from integrations.contract.feeds import (
    NOT_MODIFIED,
    FeedHead,
    FeedMark,
    FeedName,
    FeedRow,
    FetchedFeed,
    Score,
    VulnerabilityFeed,
    checked_cve,
    fetched,
    lines,
    pieces,
    refuse_page,
)
from integrations.contract.fields import Field, FieldKind

MOST_BYTES = 200 * MEGABYTE
"""Unpacked; today's file has 10 MB."""
_DAYS_BACK = 4
_NOT_THERE = frozenset({403, 404})  # object stores answer 403 for a file that is not there
_DATE = "{date}"
_LONGEST_LINE = 10_000
_HEAD = re.compile(r"#\s*model_version:(?P<version>[^,\s]{1,60}),\s*score_date:(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})\S*")
_COLUMNS = "cve,epss,percentile"
_FOREIGN = "It is not the file of EPSS scores (epss_scores-YYYY-MM-DD.csv.gz)"


class Epss(Checker, VulnerabilityFeed):
    """The place where the files lie: FIRST's own, or a mirror of it."""

    key = "epss"
    title = "EPSS"
    description = "How likely each CVE is exploited within 30 days: FIRST's daily scores."
    categories = (Category.SECURITY,)
    docs = "https://www.first.org/epss/data_stats"
    fields = (
        Field("url", "Address", FieldKind.URL, default="https://epss.empiricalsecurity.com/", help="FIRST's, or a mirror."),
        Field(
            "file", "File", default=f"epss_scores-{_DATE}.csv.gz", max_length=200, pattern=r"[A-Za-z0-9_.{}/-]+",
            help="Its name below the address; {date} stands for the day. Redirects are not followed.",
        ),
    )  # fmt: skip
    feed = FeedName.EPSS

    def check(self) -> CheckResult:
        """Ask for the newest file's headers."""
        url, reply = self._newest("HEAD", FeedMark())
        refuse_page(reply, self.title)
        name = url.rpartition("/")[2]
        return CheckResult(f"The newest scores are there: {self.shown(name)}.", {"file": name})

    def fetch(self, last: FeedMark) -> FetchedFeed | None:
        """Return the newest scores; those of a day appear during it, so the days before are asked for as well."""
        url, reply = self._newest("GET", last)
        refuse_page(reply, self.title)
        return fetched(reply, url)

    @classmethod
    def read(cls, file: IO[bytes]) -> tuple[FeedHead, Iterator[FeedRow]]:
        """Return head and rows of a file of scores."""
        found = lines(pieces(file, MOST_BYTES), _LONGEST_LINE)
        head = _HEAD.fullmatch(next(found, "").strip())
        if head is None:
            raise InvalidInput(f"{_FOREIGN}: its first line does not name model version and score date.", code="foreign_file")
        if next(found, "").strip() != _COLUMNS:
            raise InvalidInput(f"{_FOREIGN}: its columns are not {_COLUMNS}.", code="foreign_file")
        return FeedHead(storable(head["version"]), _day(head["date"])), _rows(found)

    def _newest(self, method: str, last: FeedMark) -> tuple[str, Reply]:
        urls = self._urls()
        for url in urls:
            try:
                return url, self.door.request(method, url, headers=last.conditions(url), expected=(200, NOT_MODIFIED))
            except BadAnswer as error:
                if error.status_code not in _NOT_THERE or url == urls[-1]:
                    raise
        raise AssertionError  # the last address returns or raises

    def _urls(self) -> list[str]:
        base, name = str(self.config["url"]).rstrip("/"), str(self.config["file"]).lstrip("/")
        today = datetime.now(UTC).date()
        days = [today - timedelta(days=back) for back in range(_DAYS_BACK + 1)] if _DATE in name else [today]
        return [f"{base}/{name.replace(_DATE, day.isoformat())}" for day in days]


def _rows(found: Iterator[str]) -> Iterator[FeedRow]:
    for number, line in enumerate(found, 3):
        parts = line.split(",")
        if len(parts) != 3:
            raise InvalidInput(f"Line {number} has not the three columns {_COLUMNS}: download the file again.", code="foreign_file")
        where = f"Line {number}"
        yield Score(checked_cve(parts[0], where), _share(parts[1], where), _share(parts[2], where))


def _share(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InvalidInput(f"{where}: {text[:40]!r} is no number from 0 to 1. The file is damaged: download it again.", code="foreign_file")
    return value


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{_FOREIGN}: {text} is no day.", code="foreign_file") from error
