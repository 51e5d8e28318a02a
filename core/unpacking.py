"""Bodies that may be gzip, unpacked piece by piece in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from core.errors import InvalidInput

CHUNK = 64 * 1024
_GZIP = b"\x1f\x8b"


def unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a body's bytes in pieces of at most CHUNK, unpacked where it begins like gzip; raises InvalidInput for a broken one."""
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
