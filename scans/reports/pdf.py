"""The report as PDF, made in memory: bounded, so that it takes a second or two of one thread."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.platypus import CondPageBreak, Flowable, LongTable, SimpleDocTemplate, Spacer, Table

from scans.reports import texts
from scans.reports.fonts import BOLD, prepare
from scans.reports.overview import COUNTED, Overview
from scans.reports.pdf_pages import NumberedPages
from scans.reports.pdf_text import Style, Text
from scans.reports.rows import Row, decided, rows
from scans.reports.summary import columns, facts, gate_about, gate_lines, more_sentence

MOST = 2000
MOST_LETTERS = 500_000
"""Making a page takes as long as it has letters: two thousand findings of the usual kind have half of these."""
MOST_DECIDED = 200
MOST_DECIDED_LETTERS = 60_000
_MARGIN = 40
_FRAME_PADDING = 6  # the library's own
_WIDTH = A4[0] - 2 * _MARGIN - 2 * _FRAME_PADDING
# a row must fit on a page, in the widest letters too: what a line shows of long texts is cut, and the other formats have all of it
_LONGEST_TITLE, _LONGEST_LINE, _LONGEST_REASON = 400, 250, 800
_ROOM = 90  # for a heading and what begins below it
_GRID = colors.HexColor("#d4d9e1")
_HEAD = ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#eef1f5"))
_FRAME: list[Any] = [
    ("GRID", (0, 0), (-1, -1), 0.4, _GRID), ("VALIGN", (0, 0), (-1, -1), "TOP"), ("TOPPADDING", (0, 0), (-1, -1), 2),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 3), ("LEFTPADDING", (0, 0), (-1, -1), 4), ("RIGHTPADDING", (0, 0), (-1, -1), 4),
]  # fmt: skip
_TONES = {"critical": "#8f1020", "high": "#b3341d", "medium": "#8a5a00", "low": "#205f9e", "kept": "#176b37", "broken": "#b3261e"}
_FAINT = "#5b6575"
_PLAIN, _BOLD, _NUMBER = Style(), Style(BOLD), Style(right=True)
_SMALL = Style(size=7, colour=colors.HexColor(_FAINT))
_WORDS = {word: Style(BOLD, colour=colors.HexColor(colour)) for word, colour in _TONES.items()}
_OTHER_WORD = Style(BOLD, colour=colors.HexColor(_FAINT))


def parts(over: Overview) -> Iterator[bytes]:
    """Return the file as one piece; it is made before the answer begins, so that what fails is an error."""
    prepare()
    return iter([_Document(over).bytes()])


class _Document:
    def __init__(self, over: Overview) -> None:
        self._over = over

    def bytes(self) -> bytes:
        """Return the file."""
        made = io.BytesIO()
        name = texts.heading(self._over)
        document = SimpleDocTemplate(
            made, pagesize=A4, leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=_MARGIN, bottomMargin=_MARGIN + 10, title=name,
            author="RepoGuard", creator="RepoGuard",
        )  # fmt: skip
        footer = f"{name} on {texts.plain(self._over.scope.ref)}, {self._over.made_at:%Y-%m-%d %H:%M} UTC"
        document.build(list(self._story()), canvasmaker=partial(NumberedPages, footer=texts.plain(footer, 90)))
        return made.getvalue()

    def _story(self) -> Iterator[Flowable]:
        over = self._over
        yield _said(texts.heading(over), Style(BOLD, 17))
        yield Spacer(1, 6)
        about = [[_said(label, _SMALL), _said(text)] for label, text in facts(over)]
        yield Table(about, colWidths=[80, _WIDTH - 80], style=_FRAME[1:])
        yield from self._gate()
        yield from _section("By severity")
        yield self._counts()
        yield from _section(f"Findings ({over.total:,})")
        yield from self._findings()
        yield from _section("Decisions in force")
        yield from self._decisions()

    def _gate(self) -> Iterator[Flowable]:
        gate = self._over.gate
        yield from _section(f"Gate {gate.decision}" if gate else "Gate")
        if gate is None:
            yield _said("Nothing was decided about this ref yet.")
            return
        yield _said(gate_about(gate), _SMALL)
        lines = [[_word(word), _said(sentence)] for word, sentence in gate_lines(gate)]
        if lines:
            yield Spacer(1, 4)
            yield Table(lines, colWidths=[60, _WIDTH - 60], style=_FRAME)

    def _counts(self) -> Flowable:
        head = [_said("Severity", _BOLD), *(_said(label, Style(BOLD, right=True)) for label in columns(self._over).values())]
        lines = [head]
        for severity, numbers in (*self._over.counts.items(), ("all", self._over.sums())):
            lines.append([_word(severity), *(_said(f"{numbers[name]:,}", _NUMBER) for name in COUNTED)])
        wide = (_WIDTH - 65) / len(COUNTED)
        return Table(lines, colWidths=[65, *([wide] * len(COUNTED))], style=[*_FRAME, _HEAD], repeatRows=1)

    def _findings(self) -> Iterator[Flowable]:
        over = self._over
        lines = _fitting(map(_finding, rows(over.scope, over.clock, over.listed, MOST)), MOST_LETTERS)
        if not lines:
            yield _said("There are none.")
            return
        yield _table(("Severity", "Finding", "Where", "Age"), lines, (52, 225, _WIDTH - 352, 75))
        if over.total > len(lines):
            yield Spacer(1, 6)
            yield _said(more_sentence(over, len(lines)), _BOLD)

    def _decisions(self) -> Iterator[Flowable]:
        over = self._over
        found = list(decided(over.scope, over.clock, over.listed, MOST_DECIDED + 1))
        if not found:
            yield _said("Nothing was decided about the findings above.")
            return
        lines = _fitting(map(_decision, found[:MOST_DECIDED]), MOST_DECIDED_LETTERS)
        yield _table(("Severity", "Finding", "Decision"), lines, (52, 225, _WIDTH - 277))
        if len(found) > len(lines):
            yield _said(f"These are the first {len(lines):,}; the CSV has all.", _SMALL)


def _fitting(lines: Iterable[list[Text]], letters: int) -> list[list[Text]]:
    """Return the lines from the first on that have so many letters together."""
    found: list[list[Text]] = []
    for line in lines:
        letters -= sum(one.letters for one in line)
        if letters < 0 and found:
            break
        found.append(line)
    return found


def _finding(row: Row) -> list[Text]:
    one = row.finding
    sources = f"by {', '.join(one.sources)}" if one.sources else ""
    place, package = texts.place(one), texts.package(one)
    return [
        _word(one.severity),
        _lines(texts.title(one), " · ".join(texts.identifiers(one)), sources, texts.triage(row)),
        _lines(package or place, place if package else "", style=_PLAIN),
        _lines(texts.age(row), texts.threat(one), style=_WORDS["broken"] if row.overdue else _PLAIN),
    ]


def _decision(row: Row) -> list[Text]:
    where = texts.package(row.finding) or texts.place(row.finding)
    return [_word(row.finding.severity), _lines(texts.title(row.finding), where), _said(texts.triage(row, _LONGEST_REASON))]


def _lines(first: str, *others: str, style: Style = _BOLD) -> Text:
    return Text((texts.plain(first, _LONGEST_TITLE), style), *((texts.plain(one, _LONGEST_LINE), _SMALL) for one in others))


def _said(text: str, style: Style = _PLAIN) -> Text:
    return Text((text, style))


def _section(text: str) -> Iterator[Flowable]:
    yield CondPageBreak(_ROOM)
    yield Text((text, Style(BOLD, 12)), above=12, below=5)


def _word(word: str) -> Text:
    """Return one of few words in its colour."""
    return Text((word, _WORDS.get(word, _OTHER_WORD)))


def _table(head: Sequence[str], lines: list[list[Text]], widths: Sequence[float]) -> Flowable:
    names: list[list[Text]] = [[_said(name, _BOLD) for name in head]]
    return LongTable(names + lines, colWidths=list(widths), style=[*_FRAME, _HEAD], repeatRows=1)
