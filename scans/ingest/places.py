"""Findings about a place in the code: found again by their identity alone."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from scans.identity import identity
from scans.ingest.reading import SectionRead
from scans.ingest.rows import Rows
from scans.ingest.spool import Record
from scans.ingest.tables import Known, known_places


class PlaceWriter:
    """Writes batches of them: three statements each, and none for what is stored already."""

    def __init__(self, rows: Rows, section: SectionRead) -> None:
        self._rows = rows
        self._twins = {key: sorted(twins) for key, twins in section.twins.items()}
        self._taken: dict[tuple[bytes, int], int] = {}

    def write(self, records: Sequence[Record]) -> None:
        """Write a batch, in the caller's transaction."""
        if not self._rows.look_up:
            self._rows.new_places((self._identity(record), record) for record in records)
            self._rows.flush()
            return
        wanted = {self._identity(record): record for record in records}
        known = known_places(self._rows.stream.id, wanted)
        for identity_, record in wanted.items():
            if found := known.get(identity_):
                self._rows.known_finding(found, record)
            else:
                self._rows.new_finding(identity_, record)
        self._rows.flush()

    def told_fixed(self, fixed: Mapping[bytes, Sequence[int]]) -> list[Known]:
        """Return what is stored of places that are said to be fixed: of as many twins as were said."""
        wanted = [identity(key, number) for key, twins in fixed.items() for number in range(len(twins))]
        return list(known_places(self._rows.stream.id, wanted).values())

    def _identity(self, record: Record) -> uuid.UUID:
        twins = self._twins.get(record.key)
        if twins is None:
            return identity(record.key, 0)
        first = twins.index((record.line, record.content))
        # those that are equal to the letter are numbered as they come
        number = self._taken[record.key, first] = self._taken.get((record.key, first), -1) + 1
        return identity(record.key, first + number)
