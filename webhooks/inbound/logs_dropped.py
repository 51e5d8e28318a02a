"""Leaves out of a body what is known to carry a build's log: it may be large, and hold what the build printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True)
class Kept:
    """What is kept of a body, and what was left out, in words for people."""

    body: bytes = field(repr=False)
    dropped: tuple[str, ...] = ()


def without_logs(body: bytes, paths: Sequence[str]) -> Kept:
    """Return a body without the fields at these dotted paths; of one that is no JSON, what stands before such a name."""
    if not paths or not any(_quoted(path) in body for path in paths):
        return Kept(body)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return before_logs(body, paths)
    dropped = tuple(path for path in paths if _pop(document, path.split(".")))
    return Kept(orjson.dumps(document), dropped) if dropped else Kept(body)


def before_logs(body: bytes, paths: Sequence[str]) -> Kept:
    """Return what stands before the first name of such a field: for a stranger's body, which is not worth reading."""
    places = [(place, path) for path in paths if (place := body.find(_quoted(path))) >= 0]
    if not places:
        return Kept(body)
    place, path = min(places)
    return Kept(body[:place], (f"{path} and what follows",))


def _quoted(path: str) -> bytes:
    return b'"%s"' % path.rpartition(".")[2].encode()


def _pop(document: Any, names: list[str]) -> bool:
    for name in names[:-1]:
        document = document.get(name) if isinstance(document, dict) else None
    return isinstance(document, dict) and document.pop(names[-1], None) is not None
