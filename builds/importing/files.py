"""Uploaded files: streamed to the data folder in pieces, unpacked on the way, and removed when they have been read."""

from __future__ import annotations

import os
import uuid
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.conf import settings

from core.errors import InvalidInput, TooLarge

CHUNK = 64 * 1024
_GZIP = b"\x1f\x8b"


def folder() -> Path:
    """Return the folder, made when missing and open to its owner only."""
    path = Path(settings.DATA_DIR) / "imports"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def keep(chunks: Iterable[bytes]) -> Path:
    """Write a body, plain or gzip, to a new file and return its path; holds a piece at a time.

    Raises TooLarge for more than BUILDS_CSV_MAX_BYTES (unpacked), InvalidInput for a gzip that can't be unpacked. Nothing is
    left of what was refused.
    """
    path = folder() / f"{uuid.uuid4().hex}.csv"
    size = 0
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for piece in _unpacked(chunks):
                size += len(piece)
                if size > settings.BUILDS_CSV_MAX_BYTES:
                    raise TooLarge(
                        f"The file is over {settings.BUILDS_CSV_MAX_BYTES} bytes (unpacked), the limit that BUILDS_CSV_MAX_BYTES sets."
                    )
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def discard(path: str) -> None:
    """Remove a file, if it is still there and one of ours."""
    if path and Path(path).parent == folder():
        Path(path).unlink(missing_ok=True)


def _unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    pieces = (chunk[start : start + CHUNK] for chunk in chunks for start in range(0, len(chunk), CHUNK))
    first = next(pieces, b"")
    if len(first) < len(_GZIP):
        first += next(pieces, b"")
    if not first.startswith(_GZIP):
        yield first
        yield from pieces
        return
    yield from _gunzip(first, pieces)


def _gunzip(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack a piece at a time; a small file that unpacks to a large one is cut off by its reader."""
    reader, data = zlib.decompressobj(wbits=31), first
    try:
        while data or not reader.eof:
            if reader.eof:  # gzip files may be joined
                reader = zlib.decompressobj(wbits=31)
            out = reader.decompress(data, CHUNK)
            if out:
                yield out
            data = reader.unused_data if reader.eof else reader.unconsumed_tail
            if not data:
                data = next(pieces, b"")
                if not data and not reader.eof:
                    raise InvalidInput("The gzip file breaks off: upload it again.", code="broken_gzip")
    except zlib.error as error:
        raise InvalidInput("The file begins like gzip, but can't be unpacked.", code="broken_gzip") from error
