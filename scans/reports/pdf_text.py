"""Text in a PDF: wrapped and set here, letter by letter.

ReportLab's own paragraphs read tags in what they are given, and take half a minute for a thousand findings with long words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

from reportlab.lib.colors import Color
from reportlab.pdfbase import pdfmetrics
from reportlab.platypus import Flowable

from scans.reports.fonts import REGULAR, font_for

_BLACK = Color(0.11, 0.14, 0.19)


@dataclass(frozen=True)
class Style:
    """How a piece of text looks."""

    font: str = REGULAR
    size: float = 8
    colour: Color = _BLACK
    right: bool = False

    @property
    def leading(self) -> float:
        """Return the height of a line."""
        return self.size * 1.25


class Text(Flowable):
    """Pieces of text below each other, each wrapped to the width there is."""

    def __init__(self, *pieces: tuple[str, Style], above: float = 0, below: float = 0) -> None:
        super().__init__()
        self._pieces = [(text, style) for text, style in pieces if text]
        self.spaceBefore, self.spaceAfter = above, below
        self._lines: list[tuple[str, Style]] = []

    @property
    def letters(self) -> int:
        """Return how many letters it has: what making it takes goes by them."""
        return sum(len(text) for text, _ in self._pieces)

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        """Break the lines; return what they need."""
        self.width = width
        self._lines = [(line, style) for text, style in self._pieces for line in broken(text, style.font, width / style.size)]
        self.height = sum(style.leading for _, style in self._lines)
        return width, self.height

    def draw(self) -> None:
        """Set the lines."""
        y = self.height
        for line, style in self._lines:
            y -= style.leading
            self._set(line, style, y + style.leading - style.size)

    def _set(self, line: str, style: Style, y: float) -> None:
        canvas: Any = self.canv
        canvas.setFillColor(style.colour)
        x = self.width - width_of(line, style.font) * style.size if style.right else 0.0
        for font, run in _runs(line, style.font):
            canvas.setFont(font, style.size)
            canvas.drawString(x, y, run)
            x += width_of(run, style.font) * style.size


def _runs(line: str, font: str) -> Iterable[tuple[str, str]]:
    if line.isascii():
        return ((font, line),)
    return ((name, "".join(letters)) for name, letters in groupby(line, lambda letter: font_for(letter, font)))


def broken(text: str, font: str, width: float) -> Iterator[str]:
    """Yield the lines of a text that are no wider than `width`, in units of the font's size; only a long word is broken."""
    line, used = "", 0.0
    space = _width(" ", font)
    for word in text.split(" "):
        needs = width_of(word, font)
        if line and used + space + needs <= width:
            line, used = f"{line} {word}", used + space + needs
            continue
        if line:
            yield line
        if needs <= width:
            line, used = word, needs
            continue
        *whole, line = _pieces(word, font, width)
        yield from whole
        used = width_of(line, font)
    if line:
        yield line


def _pieces(word: str, font: str, width: float) -> Sequence[str]:
    found, start, used = [], 0, 0.0
    for number, letter in enumerate(word):
        needs = _width(letter, font)
        if used + needs > width and number > start:
            found.append(word[start:number])
            start, used = number, 0.0
        used += needs
    return [*found, word[start:]]


def width_of(text: str, font: str) -> float:
    """Return how wide a text is, in units of the font's size."""
    return sum(_width(letter, font) for letter in text)


@lru_cache(maxsize=16_384)
def _width(letter: str, font: str) -> float:
    return float(pdfmetrics.stringWidth(letter, font_for(letter, font), 1))
