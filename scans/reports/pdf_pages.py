"""Pages with a footer that says how many there are, which is known when all are made."""

from __future__ import annotations

from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from scans.reports.fonts import REGULAR

_SIZE = 7
_BESIDE, _BELOW = 46, 26


class NumberedPages(Canvas):
    """A canvas that keeps its pages until the last is there."""

    def __init__(self, *args: Any, footer: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._footer = footer
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:
        """Keep a page."""
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        """Write all pages with their footers."""
        for number, page in enumerate(self._pages, 1):
            self.__dict__.update(page)
            self.setFont(REGULAR, _SIZE)
            self.drawString(_BESIDE, _BELOW, self._footer)
            self.drawRightString(A4[0] - _BESIDE, _BELOW, f"page {number} of {len(self._pages)}")
            super().showPage()
        super().save()
