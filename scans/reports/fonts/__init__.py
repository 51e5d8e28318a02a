"""The fonts of reports as PDF. They ship with the portal: a fresh machine has none, and the PDF's own know Latin letters only.

Chinese, Japanese and Korean are set in the standard fonts that viewers of PDF bring, which need no embedding.
"""

from __future__ import annotations

import threading
from functools import cache, lru_cache
from pathlib import Path

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

REGULAR, BOLD = "RepoGuardSans", "RepoGuardSans-Bold"
_CHINESE, _JAPANESE, _KOREAN = "STSong-Light", "HeiseiKakuGo-W5", "HYSMyeongJo-Medium"
_RANGES = (
    (0x1100, 0x11FF, _KOREAN), (0x3040, 0x30FF, _JAPANESE), (0x3130, 0x318F, _KOREAN), (0x31F0, 0x31FF, _JAPANESE),
    (0x2E80, 0x9FFF, _CHINESE), (0xA960, 0xA97F, _KOREAN), (0xAC00, 0xD7FF, _KOREAN), (0xF900, 0xFAFF, _CHINESE),
    (0xFE30, 0xFE4F, _CHINESE), (0xFF66, 0xFF9F, _JAPANESE), (0xFF00, 0xFFEF, _CHINESE),
)  # fmt: skip
_lock = threading.Lock()


@cache
def _known() -> frozenset[int]:
    """Register the fonts, once in a process; returns the letters that ours have."""
    with _lock:
        folder = Path(__file__).parent
        font = TTFont(REGULAR, str(folder / "DejaVuSans.ttf"))
        pdfmetrics.registerFont(font)
        pdfmetrics.registerFont(TTFont(BOLD, str(folder / "DejaVuSans-Bold.ttf")))
        for name in (_CHINESE, _JAPANESE, _KOREAN):
            pdfmetrics.registerFont(UnicodeCIDFont(name))
        return frozenset(font.face.charToGlyph)


def prepare() -> None:
    """Have the fonts ready."""
    _known()


@lru_cache(maxsize=16_384)
def font_for(letter: str, font: str) -> str:
    """Return the font to set a letter in: `font`, or the one for its script where ours does not have it."""
    code = ord(letter)
    if code < 0x1100 or code in _known():
        return font
    return next((name for first, last, name in _RANGES if first <= code <= last), font)
