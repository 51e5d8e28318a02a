"""The file that a report is read from: as often as a format needs, in bounded memory, with depth and sizes bounded."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import IO, Any

import ijson
import orjson

from core.errors import InvalidInput, TooLarge
from scans.formats.depth import check_depth

CHUNK = 256 * 1024
WHOLE_BYTES = 16 * 1024 * 1024
"""A document up to this is parsed at once, which is faster; it takes some six times its size in memory."""
DOCUMENT_BYTES = 64 * 1024 * 1024
"""Largest report of a format that has to be read as a whole."""
GAP_BYTES = 32 * 1024 * 1024
"""So far may two entries be apart, which bounds what is built of a single one."""
_MARK = b"\xef\xbb\xbf"
"""The byte order mark that some Windows tools begin with."""


class Source:
    """A seekable file with one JSON document."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._checked = False
        self.size = size

    def is_small(self) -> bool:
        """Say whether document() takes little memory."""
        return self.size <= WHOLE_BYTES

    def document(self) -> Any:
        """Return the whole document; raises InvalidInput for what is no JSON or nested too deeply, TooLarge over DOCUMENT_BYTES."""
        if self.size > DOCUMENT_BYTES:
            raise TooLarge(f"A report of this format may have {DOCUMENT_BYTES} bytes (unpacked).", code="report_too_large")
        self._check_depth()
        self._file.seek(0)
        try:
            return orjson.loads(self._file.read(DOCUMENT_BYTES + 1).removeprefix(_MARK))
        except orjson.JSONDecodeError as error:
            raise _no_json(error) from error

    def items(self, prefix: str) -> Iterator[Any]:
        """Yield the values at an ijson prefix (`runs.item.results.item`), one at a time; numbers are int and float.

        Raises InvalidInput for what is no JSON or nested too deeply, TooLarge for entries more than GAP_BYTES apart. What came before
        an error has been yielded.
        """
        self._check_depth()
        found: Any = ijson.sendable_list()
        parser = ijson.items_coro(found, prefix, use_float=True)
        gap = 0
        try:
            for chunk in self._chunks():
                parser.send(chunk)
                gap = 0 if found else gap + len(chunk)
                if gap > GAP_BYTES:
                    raise TooLarge(f"The report has an entry of more than {GAP_BYTES} bytes.", code="entry_too_large")
                yield from found
                del found[:]
            parser.close()
        except ijson.JSONError as error:
            yield from found
            raise _no_json(error) from error
        yield from found

    def outline(self, name: str) -> dict[str, Any]:
        """Return the document, an object, without the entries of the outermost list `name`: what stands around and behind them.

        Raises as items() does, and TooLarge where more than DOCUMENT_BYTES stay.
        """
        self._check_depth()
        made: list[dict[str, Any]] = []
        parser = ijson.items_coro(ijson.sendable_list(), "", use_float=True, map_type=lambda: _made(made))
        kept = gap = 0
        try:
            for chunk in self._chunks():
                was_inside = _is_last(made, name)
                parser.send(chunk)
                inside = was_inside and _is_last(made, name)
                gap = gap + len(chunk) if inside and not _emptied(made, name) else 0
                kept += 0 if inside else len(chunk)
                if gap > GAP_BYTES:
                    raise TooLarge(f"The report has an entry of more than {GAP_BYTES} bytes.", code="entry_too_large")
                if kept > DOCUMENT_BYTES:
                    raise TooLarge(f"The report has more than {DOCUMENT_BYTES} bytes beside its entries.", code="report_too_large")
            parser.close()
        except ijson.JSONError as error:
            raise _no_json(error) from error
        outline = made[0] if made else {}
        if isinstance(outline.get(name), list):
            outline[name] = []
        return outline

    def part(self, start: int, end: int) -> bytes:
        """Return these bytes of the file; raises InvalidInput when the document is nested too deeply."""
        self._check_depth()
        self._file.seek(start)
        return self._file.read(end - start)

    def beginning(self, events: int) -> Any:
        """Return what the document's first `events` events make; raises as items() does."""
        self._check_depth()
        self._file.seek(0)
        if self._file.read(len(_MARK)) != _MARK:
            self._file.seek(0)
        builder = ijson.common.ObjectBuilder()
        try:
            for event, value in islice(ijson.basic_parse(self._file, buf_size=CHUNK, use_float=True), events):
                builder.event(event, value)
        except ijson.JSONError as error:
            raise _no_json(error) from error
        return getattr(builder, "value", None)

    def _chunks(self) -> Iterator[bytes]:
        self._file.seek(0)
        first = self._file.read(CHUNK).removeprefix(_MARK)
        while first:
            yield first
            first = self._file.read(CHUNK)

    def _check_depth(self) -> None:
        if not self._checked:
            check_depth(self._chunks())
            self._checked = True


def _made(made: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a new object of the document; the first, which is the outermost, is remembered."""
    new: dict[str, Any] = {}
    if not made:
        made.append(new)
    return new


def _is_last(made: list[dict[str, Any]], name: str) -> bool:
    """Say whether the value of this name is the one that is being built."""
    return bool(made) and next(reversed(made[0]), None) == name


def _emptied(made: list[dict[str, Any]], name: str) -> bool:
    """Drop all entries but the last, which may be incomplete; say whether there were any."""
    entries = made[0][name]
    if not isinstance(entries, list) or len(entries) < 2:
        return False
    del entries[:-1]
    return True


def _no_json(error: Exception) -> InvalidInput:
    said = error.args[0] if error.args else "it breaks off"
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return InvalidInput(f"The report is no JSON, or breaks off: {text.splitlines()[0].rstrip('.')[:200]}.", code="no_json")
