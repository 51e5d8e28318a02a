"""Reports until they are read: uploads are checked as they come; all are kept in the database, for a worker on any machine."""

from __future__ import annotations

import codecs
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, cast

from django.conf import settings

from core.errors import TooLarge, Unavailable
from core.unpacking import unpacked
from scans.formats.source import Source
from scans.models import Scan, ScanPart

PIECE = 1024 * 1024
_FOLDED = 8 * 1024 * 1024


@contextmanager
def spooled(chunks: Iterable[bytes], setting: str = "SCAN_MAX_BYTES") -> Iterator[tuple[IO[bytes], int]]:
    """Yield an upload, unpacked, as a file with its size; it is gone afterwards. Raises TooLarge, and InvalidInput for broken gzip."""
    most = getattr(settings, setting)
    with tempfile.SpooledTemporaryFile(_FOLDED) as file:
        size = 0
        for piece in _utf8(unpacked(chunks)):
            size += len(piece)
            if size > most:
                raise TooLarge(f"The file is over {most} bytes (unpacked), the limit that {setting} sets.")
            file.write(piece)
        yield cast("IO[bytes]", file), size


def keep(scan: Scan, file: IO[bytes]) -> None:
    """Store the file as parts of a scan, in the caller's transaction."""
    file.seek(0)
    number = 0
    while piece := file.read(PIECE):
        ScanPart.objects.create(scan=scan, number=number, data=zlib.compress(piece, 1))
        number += 1


@contextmanager
def kept(scan: Scan) -> Iterator[tuple[IO[bytes], int]]:
    """Yield what is kept of a scan as a file with its size, which is 0 where nothing is."""
    with tempfile.SpooledTemporaryFile(_FOLDED) as file:
        size = 0
        for data in ScanPart.objects.filter(scan=scan).order_by("number").values_list("data", flat=True).iterator(chunk_size=1):
            size += file.write(zlib.decompress(data))
        file.seek(0)
        yield cast("IO[bytes]", file), size


@contextmanager
def opened(scan: Scan) -> Iterator[Source]:
    """Yield a scan's report as it was uploaded; raises Unavailable when it is not kept any more."""
    with kept(scan) as (file, size):
        if not size:
            raise Unavailable("The report is not kept any more: upload it again.")
        yield Source(file, size)


def discard(scan: Scan) -> None:
    """Remove the report of a scan that ended, in the caller's transaction."""
    ScanPart.objects.filter(scan=scan).delete()


def _utf8(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Turn UTF-16, which PowerShell's `>` writes, into UTF-8; anything else passes as it is."""
    first = next(pieces, b"")
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        decoder = codecs.getincrementaldecoder("utf-16")("replace")
        yield decoder.decode(first).encode()
        for piece in pieces:
            yield decoder.decode(piece).encode()
        yield decoder.decode(b"", final=True).encode()
        return
    yield first
    yield from pieces
