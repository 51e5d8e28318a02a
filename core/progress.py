"""How far a long command is: a bar with rate and time left on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from typing import Any

_BAR = 30
_TERMINAL_SECONDS, _PLAIN_SECONDS = 0.2, 5.0


class ProgressLine:
    """Counts towards a total that was estimated before; call it with what was done since the last call."""

    def __init__(self, out: Any, what: str, total: int) -> None:
        self._out, self._what, self._total = out, what, total
        self._done = 0
        self._began = self._said = time.monotonic()
        self._terminal = bool(out.isatty())

    def __call__(self, done: int) -> None:
        """Add to the count, and show it if it is time to."""
        self._done += done
        now = time.monotonic()
        if now - self._said >= (_TERMINAL_SECONDS if self._terminal else _PLAIN_SECONDS):
            self._said = now
            self._show()

    def finish(self) -> None:
        """Show the final count; the next output starts on a line of its own."""
        if self._done or self._terminal:
            self._show()
        if self._terminal:
            self._out.write("\n", ending="")
        self._out.flush()

    def _show(self) -> None:
        text = f"{self._what}: {self._done:,} of {max(self._total, self._done):,}, {self._rate():,.0f}/s{self._left()}"
        if self._terminal:
            filled = _BAR * self._done // max(self._total, self._done, 1)
            self._out.write(f"\r[{'#' * filled}{'.' * (_BAR - filled)}] {text}\x1b[K", ending="")
        else:
            self._out.write(text + "\n")
        self._out.flush()

    def _rate(self) -> float:
        return self._done / max(time.monotonic() - self._began, 0.001)

    def _left(self) -> str:
        remaining = max(0, self._total - self._done)
        if not remaining or not self._done:
            return ""
        seconds = round(remaining / self._rate())
        return f", {seconds // 60}:{seconds % 60:02d} left"
