"""The answer to a request for a report: streamed as a file, few at a time, so that long ones leave threads for everybody else."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import NamedTuple

from django.db.models import TextChoices
from django.http import StreamingHttpResponse

from core.errors import InvalidInput, Unavailable
from core.places import Places
from scans.choices import Kind
from scans.reports import csv_lines, html, json_parts, pdf, sarif, vex
from scans.reports.overview import Overview, overview
from scans.reports.scope import Scope, Shown
from scans.reports.texts import file_name

_RETRY_SECONDS = 5.0
_PIECE = 16 * 1024
Maker = Callable[[Overview], Iterator[bytes]]


class ReportFormat(TextChoices):
    """What a report can be had as."""

    HTML = "html", "HTML"
    PDF = "pdf", "PDF"
    JSON = "json", "JSON"
    CSV = "csv", "CSV"
    SARIF = "sarif", "SARIF"
    VEX = "vex", "CycloneDX VEX"


class _Kind(NamedTuple):
    make: Maker
    ending: str
    content_type: str
    only_open: bool = False
    """It has no words for what was there once."""
    only_kind: str = ""
    """It has words for these findings only."""


_KINDS = {
    ReportFormat.HTML: _Kind(html.parts, "html", "text/html; charset=utf-8"),
    ReportFormat.PDF: _Kind(pdf.parts, "pdf", "application/pdf"),
    ReportFormat.JSON: _Kind(json_parts.parts, "json", "application/json"),
    ReportFormat.CSV: _Kind(csv_lines.parts, "csv", "text/csv; charset=utf-8; header=present"),
    ReportFormat.SARIF: _Kind(sarif.parts, "sarif", "application/sarif+json", only_open=True),
    ReportFormat.VEX: _Kind(vex.parts, "cdx.json", "application/vnd.cyclonedx+json; version=1.6", only_kind=Kind.DEPENDENCY.value),
}
_places = Places(one_in=2)


def report(scope: Scope, format: str) -> StreamingHttpResponse:
    """Return a report as a file to keep.

    Raises InvalidInput where the format can't say it, Unavailable while half of this process's threads make reports already.
    """
    kind = _KINDS[ReportFormat(format)]
    if kind.only_open and scope.state != Shown.OPEN:
        raise InvalidInput.of("state", f"must be {Shown.OPEN} for {format}, which says what is there now; the other formats take the rest.")
    if kind.only_kind and scope.kind not in ("", kind.only_kind):
        raise InvalidInput.of("kind", f"must be {kind.only_kind}, or left out, for {format}, which is about nothing else.")
    if not _places.take():
        raise Unavailable("Other reports are being made; ask again shortly.", code="reports_busy", retry_after=_RETRY_SECONDS)
    try:
        over = overview(scope)
        content = _Content(kind.make(over))
    except BaseException:
        _places.give_back()
        raise
    answer = StreamingHttpResponse(content, content_type=kind.content_type)
    answer["Content-Disposition"] = f'attachment; filename="{file_name(over, kind.ending)}"'
    return answer


def pieces(scope: Scope, format: ReportFormat) -> tuple[str, str, Iterator[bytes]]:
    """Return ending, type and pieces of a report that nobody waits for: it takes no place."""
    kind = _KINDS[format]
    return kind.ending, kind.content_type, iter(kind.make(overview(scope)))


class _Content:
    """Pieces of a file, collected to a size worth sending; gives its place back when the answer is closed, read or not."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._release = weakref.finalize(self, _places.give_back)

    def __iter__(self) -> Iterator[bytes]:
        held: list[bytes] = []
        size = 0
        for piece in self._pieces:
            held.append(piece)
            size += len(piece)
            if size >= _PIECE:
                yield b"".join(held)
                held, size = [], 0
        if held:
            yield b"".join(held)

    def close(self) -> None:
        """Give the place back."""
        self._release()
