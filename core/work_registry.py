"""The kinds of claimable work that apps declare at start, and the message that wakes a worker for one of them."""

from __future__ import annotations

from dataclasses import dataclass

from core import queue
from core.models import WorkRow
from core.work import Handler

RUN_TASK = "core.tasks.run_work"


@dataclass(frozen=True)
class Kind:
    """One kind of work: its table, what runs a row of it, and the cluster that does."""

    name: str
    model: type[WorkRow]
    handler: Handler
    cluster: str = queue.DEFAULT


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Declare a kind of work; the same name for another kind stops the start."""
    if _kinds.get(kind.name, kind) != kind:
        raise ValueError(f"The kind of work {kind.name} is declared twice.")
    _kinds[kind.name] = kind


def find(name: str) -> Kind | None:
    """Return the kind of this name, or None."""
    return _kinds.get(name)


def kinds() -> list[Kind]:
    """Return every declared kind, by name."""
    return sorted(_kinds.values(), key=lambda kind: kind.name)


def wake(name: str) -> None:
    """Have due rows of this kind run soon after the present transaction commits. A lost message costs at most a minute."""
    queue.enqueue(RUN_TASK, name, cluster=_kinds[name].cluster)
