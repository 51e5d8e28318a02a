"""What reads public lists about vulnerabilities: how likely each is exploited (EPSS), and which are (CISA's KEV).

A list is fetched whole, as one file: the same file, downloaded elsewhere, is read where the portal reaches no other host.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import IO, ClassVar

from django.db.models import TextChoices

from core.errors import InvalidInput
from core.http.door import BadAnswer, Reply
from core.unpacking import CHUNK, unpacked
from integrations.contract.connector import Connector

NOT_MODIFIED = 304
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")


class FeedName(TextChoices):
    """The lists there are."""

    EPSS = "epss", "EPSS scores"
    KEV = "kev", "Known exploited vulnerabilities"


@dataclass(frozen=True, slots=True)
class Score:
    """How likely a CVE is exploited within 30 days, from 0 to 1, and the share of CVEs that are not likelier."""

    cve: str
    epss: float
    percentile: float


@dataclass(frozen=True, slots=True)
class Exploited:
    """A CVE that is known to be exploited, and what the catalogue wants done about it by when."""

    cve: str
    date_added: date
    due_date: date | None
    ransomware: bool
    vendor: str
    product: str
    action: str


FeedRow = Score | Exploited


@dataclass(frozen=True)
class FeedHead:
    """What a list says of itself. `count` is how many rows it should have, where it says so."""

    version: str
    dated: date
    count: int | None = None


@dataclass(frozen=True)
class FeedMark:
    """What of the last fetch is told to the service, so that an unchanged list is not sent again."""

    origin: str = ""
    etag: str = ""
    modified: str = ""

    def conditions(self, url: str) -> dict[str, str]:
        """Return the headers that ask whether what was read at this very address still holds."""
        asked = {"If-None-Match": self.etag, "If-Modified-Since": self.modified} if self.origin == url else {}
        return {name: value for name, value in asked.items() if value}


@dataclass(frozen=True)
class FetchedFeed:
    """A list as it was fetched."""

    body: bytes = field(repr=False)
    mark: FeedMark


class VulnerabilityFeed(Connector):
    """Publishes a list about CVEs."""

    feed: ClassVar[FeedName]

    @abstractmethod
    def fetch(self, last: FeedMark) -> FetchedFeed | None:
        """Return the newest list, None where it is the one of `last`. Raises OutboundError."""

    @classmethod
    @abstractmethod
    def read(cls, file: IO[bytes]) -> tuple[FeedHead, Iterator[FeedRow]]:
        """Return what a file, plain or gzip, says of itself, and its rows as they are read.

        Raises InvalidInput for what is not this list, or not all of it; so does the iterator.
        """


def fetched(reply: Reply, url: str) -> FetchedFeed | None:
    """Return what an answer brought; None for one that says that nothing changed."""
    if reply.status == NOT_MODIFIED:
        return None
    return FetchedFeed(reply.body, FeedMark(url, reply.headers.get("ETag", "")[:300], reply.headers.get("Last-Modified", "")[:100]))


def refuse_page(reply: Reply, title: str) -> None:
    """Raise BadAnswer for a web page where a file was asked for: a proxy's, or that of a wrong address."""
    if reply.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise BadAnswer(
            f"{title}: a web page came instead of the file. Check the address, and whether a proxy asks for a sign-in.",
            status_code=reply.status,
        )


def checked_cve(text: str, where: str) -> str:
    """Return the id of a CVE. Raises InvalidInput."""
    if not _CVE.fullmatch(text):
        raise InvalidInput(
            f"{where}: {text[:40]!r} is no CVE. The file is damaged, or another one: download it again.", code="foreign_file"
        )
    return text


def pieces(file: IO[bytes], most: int) -> Iterator[bytes]:
    """Yield a file's bytes, unpacked. Raises InvalidInput for more than `most`, and for gzip that breaks off."""
    size = 0
    for piece in unpacked(iter(lambda: file.read(CHUNK), b"")):
        size += len(piece)
        if size > most:
            raise InvalidInput(f"The file is over {most // 1024 // 1024} MB unpacked: it is not this list.", code="foreign_file")
        yield piece


def lines(chunks: Iterable[bytes], longest: int) -> Iterator[str]:
    """Yield the lines of a text without their ends. Raises InvalidInput where the last one is not ended: the file was cut off."""
    rest, any_whole = b"", False
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > longest:
            raise InvalidInput("A line is far too long: this is not this list.", code="foreign_file")
        for line in whole:
            any_whole = True
            yield line.rstrip(b"\r").decode("utf-8", "replace")
    if rest and not any_whole:
        yield rest.decode("utf-8", "replace")  # whoever reads it will not know it
    elif rest:
        raise InvalidInput("The file breaks off in the middle of a line: download it again.", code="truncated_file")
