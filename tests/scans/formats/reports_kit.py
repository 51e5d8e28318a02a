"""Reading reports in tests: at once and in slices, which have to say the same."""

from __future__ import annotations

import io
from typing import Any
from unittest import mock

import orjson

from integrations.contract.reports import ReportedFinding
from scans.formats import slices, source
from scans.formats.base import Format, Item, Problem, Section
from scans.formats.detect import detect
from scans.formats.source import Source


def as_source(document: Any) -> Source:
    written = document if isinstance(document, bytes) else orjson.dumps(document)
    return Source(io.BytesIO(written), len(written))


def read(document: Any, kind: type[Format] | None = None) -> list[Item]:
    """Return the items of a report, after making sure that a large one is read as a small one is."""
    kind = kind or detect(as_source(document))
    items = list(kind().read(as_source(document)))
    assert large(document, kind) == items
    return items


def large(document: Any, kind: type[Format]) -> list[Item]:
    """Read a report as if it were large, with slices of one or two entries."""
    with mock.patch.object(source, "WHOLE_BYTES", 0), mock.patch.object(source, "CHUNK", 37), mock.patch.object(slices, "CHUNK", 37):
        return list(kind().read(as_source(document)))


def findings(document: Any) -> list[ReportedFinding]:
    return [item for item in read(document) if isinstance(item, ReportedFinding)]


def sections(document: Any) -> list[Section]:
    return [item for item in read(document) if isinstance(item, Section)]


def problems(document: Any) -> list[Problem]:
    return [item for item in read(document) if isinstance(item, Problem)]
