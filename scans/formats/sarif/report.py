"""The format: small documents at once, large ones in two passes, since what results refer to may come after them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.errors import InvalidInput
from scans.formats.base import Format, Head, Item, Problem, Section
from scans.formats.sarif.run import Run
from scans.formats.slices import Sliced
from scans.formats.source import Source

_SHOWN = 20


class Sarif(Format):
    """Static Analysis Results Interchange Format."""

    key = "sarif"
    title = "SARIF 2.1.0"

    @classmethod
    def recognises(cls, head: Head) -> bool:
        """SARIF names its schema, or has runs of tools with a driver; its version alone may come behind the runs."""
        if head.is_list or "runs" not in head.object:
            return False
        schema, version, runs = (head.object.get(name) for name in ("$schema", "version", "runs"))
        if (isinstance(schema, str) and "sarif" in schema.lower()) or (isinstance(version, str) and version.startswith("2.")):
            return True
        first = runs[0] if isinstance(runs, list) and runs else None
        tool = first.get("tool") if isinstance(first, dict) else None
        return isinstance(tool, dict) and "driver" in tool

    def read(self, source: Source) -> Iterator[Item]:
        """Yield a section for each run, also for one without results, and its findings."""
        held: list[Item] = []  # sections: a tool that crashed, and says nothing else, must not pass for one that found nothing
        usable = False
        for items in self._by_run(source):
            failed = False
            for item in items:
                if isinstance(item, Section):
                    held.append(item)
                    continue
                if isinstance(item, Problem):
                    failed = True
                else:
                    usable = True
                    yield from held
                    held.clear()
                yield item
            usable = usable or not failed
            if usable:
                yield from held
                held.clear()

    def _by_run(self, source: Source) -> Iterator[Iterator[Item]]:
        if source.is_small():
            document = source.document()
            for number, run in enumerate(_runs(document)):
                results = run.get("results") if isinstance(run, dict) else None
                yield _items(number, run, results if isinstance(results, list) else [])
            return
        sliced = Sliced(source, "runs.item.results")
        for number, run in enumerate(_runs(sliced.document)):
            yield _items(number, run, sliced.entries("runs", number, "results"))


def _items(number: int, run: Any, results: Any) -> Iterator[Item]:
    if isinstance(run, dict):
        yield from Run(number, run).items(results)
    else:
        yield Problem(f"runs[{number}]", "The run is no object.")


def _runs(document: Any) -> list[Any]:
    """Return the runs; raises InvalidInput for what has none."""
    version = document.get("version") if isinstance(document, dict) else None
    if isinstance(version, str) and version.startswith("1."):
        raise InvalidInput(f"The report is SARIF {version[:_SHOWN]}; let the tool write SARIF 2.1.0.", code="old_format")
    runs = document.get("runs") if isinstance(document, dict) else None
    if not isinstance(runs, list):
        raise InvalidInput("The report is no SARIF: it has no list of runs, so nothing says which tool ran.", code="no_runs")
    return runs
