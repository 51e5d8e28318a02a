"""The work of imports: one kind of work whose handler is chosen by the import's kind, since all are rows of one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from builds.choices import ImportKind
from builds.models import BuildImport
from core import work_registry
from core.work import Done, Later, Run

KIND_NAME = "build imports"
ImportHandler = Callable[[Run, BuildImport], Later | Done | None]
_handlers: dict[str, ImportHandler] = {}


def register_handler(kind: ImportKind, handler: ImportHandler) -> None:
    """Name what works imports of a kind off; call it in the app's ready()."""
    _handlers[kind.value] = handler


def work_off(run: Run) -> Later | Done | None:
    """Work an import off for a while: the handler of the kind of work."""
    row = cast("BuildImport", run.row)
    return _handlers[row.kind](run, row)


KIND = work_registry.Kind(KIND_NAME, BuildImport, work_off)
