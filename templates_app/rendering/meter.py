"""What rendering may cost. Every step of a template is counted, and whatever filters make; the clock is the last resort only."""

from __future__ import annotations

import time

from core.errors import InvalidInput
from templates_app.rendering.refused import RefusedOutput

MAX_SOURCE = 64 * 1024
"""Bytes of a template."""
MAX_OUTPUT = 512 * 1024
"""Bytes that it may make, and characters of any text on the way."""
MAX_LOOPS = 10_000
"""Turns of all loops together."""
MAX_ITEMS = 10_000
"""Items of a list that a filter takes or makes."""
MAX_STEPS = 100_000
"""Tags, outputs, variables and filters that are worked off, and what large values cost."""
MAX_MADE = 16 * 1024 * 1024
"""Characters that filters make in all."""
MAX_SECONDS = 0.25
"""Of this thread's own time on a processor, whatever else the machine does."""
CHARACTERS_A_STEP = 512
_LOOK_EVERY = 16


class TemplateRefused(InvalidInput):
    """A template, or what it made, can't be used. `line` and `column` say where in the template, from 1.

    `part` is the field that it is about, `output` what was made and is no JSON.
    """

    def __init__(
        self, sentence: str, *, line: int | None = None, column: int | None = None, part: str = "", output: RefusedOutput | None = None
    ) -> None:
        said = sentence if line is None else f"Line {line}, column {column}: {sentence}"
        super().__init__(f"{part}: {said}" if part else said, code="template", fields={part: [said]} if part else None)
        self.sentence, self.line, self.column, self.output = sentence, line, column, output


class Exceeded(Exception):
    """A bound was reached."""


class Meter:
    """Counts what one rendering costs, all its parts together. Raises Exceeded."""

    def __init__(self, seconds: float = MAX_SECONDS) -> None:
        self.steps = self.loops = self.made = 0
        self._until = time.thread_time() + seconds
        self._look_at = 0

    def step(self, cost: int = 1) -> None:
        """Count a step."""
        self.steps = min(self.steps + cost, MAX_STEPS + 1)
        if self.steps > MAX_STEPS:
            raise Exceeded(f"It takes more than {MAX_STEPS:,} steps: loop over less, or leave filters out of loops.")
        if self.steps >= self._look_at:
            self._look_at = self.steps + _LOOK_EVERY
            if time.thread_time() > self._until:
                raise Exceeded(f"It takes more than {MAX_SECONDS:g} s of computing: make it simpler.")

    def turn(self) -> None:
        """Count a turn of a loop."""
        self.loops += 1
        if self.loops > MAX_LOOPS:
            raise Exceeded(f"Its loops make more than {MAX_LOOPS:,} turns in all: give the loops a limit.")
        self.step()

    def text(self, length: int) -> None:
        """Count a text that is about to be made."""
        if length > MAX_OUTPUT:
            raise Exceeded(f"It makes a text of more than {MAX_OUTPUT:,} characters: cut it with truncate.")
        self.made += length
        if self.made > MAX_MADE:
            raise Exceeded(f"Its filters make more than {MAX_MADE:,} characters in all: leave them out of loops.")
        self.step(1 + length // CHARACTERS_A_STEP)

    def items(self, length: int) -> None:
        """Count a list that is about to be gone through or made."""
        if length > MAX_ITEMS:
            raise Exceeded(f"It works on a list of more than {MAX_ITEMS:,} items.")
        self.step(1 + length // 8)
