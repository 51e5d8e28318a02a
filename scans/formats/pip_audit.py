"""pip-audit's own JSON (`pip-audit --format json`): https://github.com/pypa/pip-audit."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from integrations.contract.payloads import text
from integrations.contract.reports import ReportedFinding, ReportedPackage
from scans.formats import reading
from scans.formats.base import Format, Head, Item, Problem, Section
from scans.formats.reading import Object, need
from scans.formats.source import Source


class PipAudit(Format):
    """Reports of pip-audit.

    A dependency that it skipped is no problem: what a company publishes nowhere is skipped every time, and no report would ever be whole.
    """

    key = "pip_audit"
    title = "pip-audit JSON"

    @classmethod
    def recognises(cls, head: Head) -> bool:
        """pip-audit lists dependencies with a name and either their vulnerabilities or why they were skipped; at first in a bare list."""
        if head.is_list:
            return _is_dependency(head.object)
        listed = head.object.get("dependencies")
        if not isinstance(listed, list) or set(head.object) - {"dependencies", "fixes"}:
            return False
        return _is_dependency(listed[0]) if listed else "fixes" in head.object

    def read(self, source: Source) -> Iterator[Item]:
        """Yield the vulnerabilities of every dependency."""
        reading.expect(PipAudit, source, empty_list=True)
        yield Section("pip-audit")
        report = source.document()
        listed = report if isinstance(report, list) else report.get("dependencies")
        for place, dependency in enumerate(listed if isinstance(listed, list) else ()):
            where = f"dependencies[{place}]"
            if not isinstance(dependency, dict) or not text(dependency.get("name")):
                yield Problem(where, "It is no object with a name.")
            elif isinstance(vulns := dependency.get("vulns"), list):
                yield from reading.usable(f"{where}.vulns", vulns, partial(_finding, dependency))
            elif "skip_reason" not in dependency:
                yield Problem(where, "It has neither vulns nor skip_reason.")


def _is_dependency(found: Any) -> bool:
    return isinstance(found, dict) and "name" in found and ("skip_reason" in found or ("version" in found and "vulns" in found))


def _finding(dependency: Object, entry: Object) -> ReportedFinding:
    number = need(entry, "id")
    package = ReportedPackage(
        ecosystem="PyPI",
        name=need(dependency, "name"),
        version=text(dependency.get("version")),
        fixed_version=", ".join(reading.texts(entry.get("fix_versions")))[:1000],
    )
    return ReportedFinding(
        source_id=number,
        title=f"{number} in {package.name}",
        severity="",
        rule=number,
        description=reading.prose(entry.get("description")),
        identifiers=reading.names(number, entry.get("aliases")),
        package=package,
        url=f"https://osv.dev/vulnerability/{number}" if number.isascii() and number.replace("-", "").isalnum() else "",
        raw=entry,
    )
