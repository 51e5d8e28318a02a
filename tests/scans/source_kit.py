"""A scan source for tests: what it says, where it stops, and who asks it what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from core import work
from core.errors import OutboundError
from core.ids import uuid7
from core.work import Run
from integrations import registry
from integrations.choices import Category
from integrations.contract.scans import ScanItem, ScanPage, ScanQuery, ScanSource, Section
from integrations.models import Integration, Repository, RepositorySource
from scans.models import Scan
from scans.work import KIND


class FakeScanner(ScanSource):
    """Yields `pages`; `stops` are the errors to raise before a page is given, each once."""

    key = "fake_scanner"
    title = "Fake scanner"
    description = "For tests."
    categories = (Category.SECURITY,)
    incremental = True
    pages: ClassVar[list[ScanPage]] = []
    stops: ClassVar[dict[int, BaseException]] = {}
    asked: ClassVar[list[tuple[ScanQuery, Mapping[str, Any] | None]]] = []

    @classmethod
    def needs_packages(cls, config: Mapping[str, Any]) -> bool:
        """Where its configuration says so."""
        return bool(config.get("reads_packages"))

    def scan_pages(self, query: ScanQuery, cursor: Mapping[str, Any] | None = None) -> Iterator[ScanPage]:
        """Yield what is behind the cursor."""
        self.asked.append((query, cursor))
        for number in range(cursor["page"] if cursor else 0, len(self.pages)):
            if error := self.stops.pop(number, None):
                raise error
            yield self.pages[number]


def install(monkeypatch: pytest.MonkeyPatch) -> type[FakeScanner]:
    """Put the connector among the others, fresh."""
    monkeypatch.setitem(registry._BY_KEY, FakeScanner.key, FakeScanner)
    monkeypatch.setattr(registry, "CONNECTORS", (*registry.CONNECTORS, FakeScanner))
    for name, value in (("pages", []), ("stops", {}), ("asked", [])):
        monkeypatch.setattr(FakeScanner, name, value)
    return FakeScanner


def says(scanner: type[FakeScanner], *pages: Sequence[ScanItem], **last: Any) -> None:
    """Have it say these pages, with a section of the tool `fake` first."""
    whole: list[Sequence[ScanItem]] = [[Section("fake"), *pages[0]], *pages[1:]] if pages else [[Section("fake")]]
    total = sum(len(page) for page in whole) - 1
    scanner.pages[:] = [
        ScanPage(tuple(page), {"page": number}, total, **(last if number == len(whole) else {}))
        for number, page in enumerate(whole, start=1)
    ]


def integration(name: str = "Scanner", **values: Any) -> Integration:
    return Integration.objects.create(name=name, type=FakeScanner.key, category="security", **values)


def linked(repository: Repository, by: Integration, **values: Any) -> RepositorySource:
    return RepositorySource.objects.create(repository=repository, integration=by, **values)


def take() -> Run:
    """Claim the next scan, whenever it is due."""
    Scan.objects.update(run_after="2020-01-01T00:00:00Z")
    (row,) = work.claim(Scan, uuid7())
    assert row.lease_token is not None
    return Run(row, row.lease_token)


def go_on(run: Run | None = None) -> Scan:
    """Work a scan off until it ends or is put aside, and return it."""
    run = run or take()
    work.perform(run, KIND.handler)
    return Scan.objects.get(pk=run.row.pk)


def drain(until: Callable[[], bool] = lambda: False) -> None:
    """Work off all scans."""
    while Scan.objects.filter(state="queued").exists() and not until():
        go_on()


class Down(OutboundError):
    """The service does not answer."""
