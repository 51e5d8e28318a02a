"""Draws badges: the flat look that READMEs know, in one file without fonts, scripts or other hosts."""

from __future__ import annotations

import unicodedata
from html import escape

from core.badges import Badge, Colour

HEIGHT = 20
_PADDING = 5.0
_FILL = {
    Colour.GREEN: "#4c1", Colour.YELLOW: "#dfb317", Colour.ORANGE: "#fe7d37", Colour.RED: "#e05d44", Colour.BLUE: "#007ec6",
    Colour.GREY: "#9f9f9f",
}  # fmt: skip
# advance widths of Verdana at 11 px, characters 32 to 126
_WIDTHS = (
    3.87, 4.33, 5.05, 9, 6.99, 11.84, 7.99, 2.95, 5, 5, 6.99, 9, 4, 5, 4, 5, 6.99, 6.99, 6.99, 6.99, 6.99, 6.99, 6.99, 6.99, 6.99, 6.99, 5,
    5, 9, 9, 9, 6, 11, 7.52, 7.54, 7.68, 8.48, 6.96, 6.32, 8.53, 8.27, 4.63, 5, 7.62, 6.12, 9.27, 8.23, 8.66, 6.63, 8.66, 7.65, 7.52, 6.78,
    8.05, 7.52, 10.88, 7.54, 6.77, 7.54, 5, 5, 5, 9, 6.99, 6.99, 6.61, 6.85, 5.73, 6.85, 6.55, 3.87, 6.85, 6.96, 3.02, 3.79, 6.51, 3.02,
    10.7, 6.96, 6.68, 6.85, 6.85, 4.69, 5.73, 4.33, 6.96, 6.51, 9, 6.51, 6.51, 5.78, 6.98, 5, 6.98, 9,
)  # fmt: skip
_WIDE, _USUAL = 11.0, 7.5


def width(text: str) -> float:
    """Return how wide a text is, in pixels; near enough for other scripts, since the text is fitted to it."""
    return sum(_advance(character) for character in text)


def draw(badge: Badge) -> str:
    """Return the badge as SVG."""
    left = round(width(badge.label) + 2 * _PADDING) if badge.label else 0
    right = round(width(badge.message) + 2 * _PADDING)
    whole = left + right
    said = escape(f"{badge.label}: {badge.message}" if badge.label else badge.message)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="{HEIGHT}" role="img" aria-label="{said}"><title>{said}</title>'
        '<linearGradient id="s" x2="0" y2="100%"><stop offset="0" stop-color="#bbb" stop-opacity=".1"/>'
        '<stop offset="1" stop-opacity=".1"/></linearGradient>'
        f'<clipPath id="r"><rect width="{whole}" height="{HEIGHT}" rx="3" fill="#fff"/></clipPath><g clip-path="url(#r)">'
        f'<rect width="{left}" height="{HEIGHT}" fill="#555"/>'
        f'<rect x="{left}" width="{right}" height="{HEIGHT}" fill="{_FILL[badge.colour]}"/>'
        f'<rect width="{whole}" height="{HEIGHT}" fill="url(#s)"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">'
        f"{_written(badge.label, left / 2) if badge.label else ''}{_written(badge.message, left + right / 2)}</g></svg>"
    )


def _written(text: str, middle: float) -> str:
    shown, long = escape(text), f"{width(text):.1f}"
    place = f'x="{middle:.1f}" textLength="{long}"'
    return f'<text aria-hidden="true" {place} y="15" fill="#010101" fill-opacity=".3">{shown}</text><text {place} y="14">{shown}</text>'


def _advance(character: str) -> float:
    number = ord(character)
    if 32 <= number <= 126:
        return _WIDTHS[number - 32]
    if unicodedata.combining(character):
        return 0.0
    return _WIDE if unicodedata.east_asian_width(character) in "WF" else _USUAL
