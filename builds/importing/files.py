"""Uploaded files: streamed to the data folder in pieces, unpacked on the way, and removed when they have been read."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings

from core.errors import TooLarge
from core.unpacking import unpacked


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
            for piece in unpacked(chunks):
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
