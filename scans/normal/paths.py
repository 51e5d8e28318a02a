"""Paths of files as a repository names them: relative to its root, with slashes, and never out of it."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from core.texts import storable

MOST_PATH = 1_000
_BEGINNING = re.compile(r"^(?:file:/{2,3})?/*(?:[A-Za-z]:/+)?", re.IGNORECASE)


_UNTIDY = re.compile(r"[\\:]|//|/\.|^[./ ]|[/ ]$")


def canonical_path(path: str) -> str:
    """Return the path from the repository's root; what leads above it begins there. A path too long ends in a hash of all of it."""
    if len(path) <= MOST_PATH and path.isascii() and path.isprintable() and _UNTIDY.search(path) is None:
        return path  # as nearly all are: a report has more of them than a cache should hold
    return _canonical(path) if len(path) <= MOST_PATH else _shortened(path)


@lru_cache(maxsize=8192)
def _canonical(path: str) -> str:
    text = _BEGINNING.sub("", storable(path).strip().replace("\\", "/"))
    kept: list[str] = []
    for segment in text.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    return "/".join(kept)[:MOST_PATH]


def _shortened(path: str) -> str:
    digest = hashlib.blake2b(path.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{_canonical(path[: MOST_PATH - 40])[: MOST_PATH - 40]}~{digest}"
