"""Reads what OSV knows of many packages, batch by batch, with a cursor to go on from after any call.

Of a batch first the ids are asked for, page by page, then the records, package by package: names of the same vulnerability are put
together, so all records of a package have to be at hand. Records fetched before a limit or a kill are kept by the door, and found there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.http.door import BadAnswer
from integrations.connectors.osv.asked import Asked, digest
from integrations.connectors.osv.client import Client, Refused
from integrations.connectors.osv.found import findings, names_of, slim, unread
from integrations.contract.scans import Problem, ScanItem, ScanPage, Section

TOOL = Section("osv")
BATCH = 500
"""Packages of a batch: what is found of them is in the cursor."""
_PAGE = 50
_MOST_REMEMBERED = 2000
_MOST_TOGETHER = 400
"""Records of one package that are put together: fetched anew after each interruption, they must fit into what a worker does at once."""
_MOST_PAGES = 2000
_MOST_RESTARTS = 3
_MOST_REFUSED = 20


@dataclass
class _Batch:
    """Where the reading of a batch stands."""

    begin: int
    size: int
    waiting: list[list[Any]] | None = None
    """[package, token] of the queries that have more pages; None before the first."""
    found: dict[str, dict[str, str]] = field(default_factory=dict)
    """By package: ids with the moment of their last change."""
    pages: int = 0
    restarts: int = 0
    refused: int = 0
    """Packages in a row that OSV did not take."""

    def stored(self) -> dict[str, Any]:
        """Return it as plain JSON that later changes leave alone."""
        waiting = None if self.waiting is None else [list(one) for one in self.waiting]
        return {**vars(self), "waiting": waiting, "found": {name: dict(ids) for name, ids in self.found.items()}}


class Walk:
    """The reading of one scan."""

    def __init__(self, client: Client, packages: list[Asked], cursor: Mapping[str, Any] | None) -> None:
        self._client, self._packages = client, packages
        self._of = digest(packages)
        self._records: dict[str, dict[str, Any] | None] = {}
        self._changed = cursor is not None and cursor["of"] != self._of
        self._begins = cursor is None or self._changed
        self._batch = _Batch(0, BATCH) if cursor is None or self._changed else _Batch(**cursor["batch"])

    def pages(self) -> Iterator[ScanPage]:
        """Yield what is left to read."""
        changed = Problem("packages", "The lock files changed while they were asked about: what was found before may be gone by now.")
        if self._begins:
            yield self._page([changed] if self._changed else [])
        while self._batch.begin < len(self._packages):
            while self._is_asking():
                yield self._page(self._ask())
            yield from self._report()
            self._next(self._batch.begin + self._batch.size)
            yield self._page([])

    def _next(self, begin: int) -> None:
        self._batch = _Batch(begin, min(BATCH, 2 * self._batch.size), refused=self._batch.refused)
        self._records.clear()

    def _here(self) -> list[Asked]:
        return self._packages[self._batch.begin : self._batch.begin + self._batch.size]

    def _is_asking(self) -> bool:
        return self._batch.waiting is None or bool(self._batch.waiting)

    # --- Ids ---

    def _ask(self) -> list[ScanItem]:
        """Make one call of a batch."""
        batch, here = self._batch, self._here()
        waiting: list[list[Any]] = [[number, ""] for number in range(len(here))] if batch.waiting is None else batch.waiting
        try:
            answers = self._client.batch([here[number].query(token) for number, token in waiting])
        except Refused as error:
            return self._smaller(here, str(error))
        batch.pages += 1
        batch.refused = 0
        if batch.pages > _MOST_PAGES:
            raise BadAnswer(f"OSV has answered {_MOST_PAGES} pages to {len(here)} queries, and there is no end. Look at the mirror.")
        batch.waiting = []
        for (number, token), answer in zip(waiting, answers, strict=True):
            if answer.vulnerabilities:
                batch.found.setdefault(str(number), {}).update(answer.vulnerabilities)
            if answer.token and answer.token == token:
                raise BadAnswer("OSV answers the same page again and again. Look at the mirror, or ask OSV whether it is in trouble.")
            if answer.token:
                batch.waiting.append([number, answer.token])
        return []

    def _smaller(self, here: list[Asked], said: str) -> list[ScanItem]:
        """Find the one that is refused by halves; what a token of was refused is asked anew, as tokens don't last for ever."""
        batch = self._batch
        if batch.waiting is not None:
            if batch.restarts >= _MOST_RESTARTS:
                raise BadAnswer(f"OSV refused the next page of its own answer, several times: {said}")
            self._batch = _Batch(batch.begin, batch.size, restarts=batch.restarts + 1, refused=batch.refused)
            return []
        if len(here) > 1:
            self._batch = _Batch(batch.begin, len(here) // 2, refused=batch.refused)
            return []
        batch.waiting = []
        batch.refused += 1
        if batch.refused > _MOST_REFUSED:
            raise BadAnswer(
                f"OSV takes none of {batch.refused} packages in a row: {said}. Check the integration's address.", permanent=True
            )
        [one] = here
        return [Problem(f"{one.ecosystem} {one.name}"[:200], f"OSV does not take this package: {said}", elsewhere=True)]

    # --- Records ---

    def _report(self) -> Iterator[ScanPage]:
        """Yield the findings of a batch; an empty page where only records were fetched, so that the caller can keep its lease."""
        here, items = self._here(), list[ScanItem]()
        names = names_of(here)
        while self._batch.found:
            number = min(map(int, self._batch.found))
            ids = self._batch.found[str(number)]
            fetched = 0
            if len(self._records) > _MOST_REMEMBERED:
                self._records.clear()
            # a kernel has thousands; those whose names meet in another part become one finding when they are stored
            some = sorted(ids)[:_MOST_TOGETHER]
            for one in some:
                fetched += self._fetch(one, ids[one], names)
                if fetched and fetched % _PAGE == 0:
                    yield self._page(items)
                    items = []
            items += self._findings(here[number], some)
            for one in some:
                del ids[one]
            if not ids:
                del self._batch.found[str(number)]
            if len(items) >= _PAGE:
                yield self._page(items)
                items = []
        if items:
            yield self._page(items)

    def _findings(self, package: Asked, ids: list[str]) -> list[ScanItem]:
        known = [record for one in ids if (record := self._records.get(one)) is not None]
        lost = [one for one in ids if self._records.get(one) is None]
        sentence = "OSV lists this vulnerability, but has no record of it that could be read: it is reported by its name alone."
        items: list[ScanItem] = [*findings(package, known), *(unread(package, one) for one in lost)]
        return [*items, *(Problem(one, sentence, elsewhere=True) for one in lost)]

    def _fetch(self, number: str, modified: str, names: frozenset[str]) -> int:
        """Have a record at hand; say how many were fetched for it."""
        if number in self._records:
            return 0
        record = self._client.record(number, modified)
        self._records[number] = None if record is None else slim(record, names)
        return 1

    def _page(self, items: list[ScanItem]) -> ScanPage:
        return ScanPage((TOOL, *items), {"of": self._of, "batch": self._batch.stored()})
