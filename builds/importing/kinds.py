"""Which handler works an import off: one kind of work for all, for they share a table."""

from __future__ import annotations

from builds.choices import ImportKind
from builds.importing import github
from builds.models import BuildImport
from core import work_registry
from core.work import Done, Handler, Later, Run

_HANDLERS: dict[str, Handler] = {ImportKind.GITHUB: github.work_off}


def work_off(run: Run) -> Later | Done | None:
    """Hand the import to the handler of its kind."""
    row: BuildImport = run.row  # type: ignore[assignment]
    return _HANDLERS[row.kind](run)


KIND = work_registry.Kind(github.KIND_NAME, BuildImport, work_off)
