"""What a template made and can't be sent, cut to the lines around the error: a page or an answer carries no 512 KB of it."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_CHARACTERS = 16_000
MOST_LINES = 200
"""Of each at most: before the error, and from there on."""


@dataclass(frozen=True)
class RefusedOutput:
    """Output that is no JSON. Lines and columns count from 1, in the whole output; `size` is that of the whole, in bytes."""

    text: str = field(repr=False)
    first_line: int
    first_column: int
    line: int
    column: int
    size: int
    of: str = ""
    """The event type; where a save tries out several, with what was put into its data."""


def around(output: str, at: int) -> RefusedOutput:
    """Return the part of an output that has the error at an index, in whole lines where these are short enough."""
    start, end = max(0, at - MOST_CHARACTERS), at + MOST_CHARACTERS
    before, after = output[start:at].split("\n"), output[at:end].split("\n")
    if start > 0 and len(before) > 1:
        del before[0]
    if end < len(output) and len(after) > 1:
        del after[-1]
    head, tail = "\n".join(before[-MOST_LINES - 1 :]), "\n".join(after[: MOST_LINES + 1])
    first = at - len(head)
    return RefusedOutput(
        text=head + tail,
        first_line=output.count("\n", 0, first) + 1,
        first_column=first - output.rfind("\n", 0, first),
        line=output.count("\n", 0, at) + 1,
        column=at - output.rfind("\n", 0, at),
        size=len(output.encode("utf-8", "replace")),
    )
