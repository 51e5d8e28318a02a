"""OSV-Scanner's own JSON (`osv-scanner scan --format json`): https://google.github.io/osv-scanner/output/."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from integrations.connectors.osv import records as records_of
from integrations.connectors.osv.fixes import mended
from integrations.contract.payloads import objects, text
from integrations.contract.reports import ReportedFinding, ReportedPackage
from scans.formats import reading
from scans.formats.base import Format, Head, Item, Problem, Section
from scans.formats.reading import Object, inner, need
from scans.formats.source import Source

_FILES = frozenset({"lockfile", "sbom", "manifest", ""})
_NO_ECOSYSTEM = "GIT"
"""What was found by its commit rather than in a package."""


class OsvScanner(Format):
    """Reports of OSV-Scanner."""

    key = "osv_scanner"
    title = "OSV-Scanner JSON"

    @classmethod
    def recognises(cls, head: Head) -> bool:
        """OSV-Scanner lists results with a source and its packages; without any, it still says how it was configured."""
        found = head.document
        if not isinstance(found, dict) or not isinstance(found.get("results"), list):
            return False
        first = next(iter(objects(found["results"])), None)
        if first is None:
            return isinstance(found.get("experimental_config"), dict)
        return isinstance(first.get("source"), dict) and isinstance(first.get("packages"), list)

    def read(self, source: Source) -> Iterator[Item]:
        """Yield one finding for each vulnerability of a package, by whatever names OSV's databases know it."""
        reading.expect(OsvScanner, source)
        yield Section("osv-scanner")
        for place, result in enumerate(reading.Report(source, "results.item").each("results.item")):
            where = f"results[{place}]"
            packages = result.get("packages") if isinstance(result, dict) else None
            if not isinstance(packages, list):
                yield Problem(where, "It has no list of packages.")
                continue
            manifest = _manifest(inner(result, "source"))
            for number, package in enumerate(packages):
                yield from _package(f"{where}.packages[{number}]", package, manifest)


def _manifest(source: Object) -> str:
    return reading.path(source.get("path")) if text(source.get("type")) in _FILES else ""


def _package(where: str, entry: Any, manifest: str) -> Iterator[Item]:
    named = inner(entry, "package") if isinstance(entry, dict) else {}
    name = text(named.get("name"), 1000) or text(named.get("commit"))
    if not name:
        yield Problem(where, "It has no package with a name.")
        return
    package = ReportedPackage(
        ecosystem=text(named.get("ecosystem")) or _NO_ECOSYSTEM,
        name=name,
        version=text(named.get("version")) or text(named.get("commit")),
        manifest=manifest,
    )
    listed = entry.get("vulnerabilities")
    if listed is not None and not isinstance(listed, list):
        yield Problem(f"{where}.vulnerabilities", reading.NO_LIST)
    usable = []
    for place, record in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(record, dict) and text(record.get("id")):
            usable.append(record)
        else:
            yield Problem(f"{where}.vulnerabilities[{place}]", "It is no object with an id.")
    scores = _scores(entry.get("groups"))
    for records in records_of.same(usable):
        yield _finding(package, records, scores)
    for licence in reading.texts(entry.get("license_violations")):
        yield ReportedFinding(
            source_id=licence, title=f"Licence {licence} of {name}", severity="", kind="license", rule=licence, package=package,
            raw={"package": named, "license": licence},
        )  # fmt: skip


def _scores(groups: Any) -> dict[str, str]:
    """Return the highest score of the group that a record is in."""
    return {number: reading.word(group.get("max_severity")) for group in objects(groups) for number in reading.texts(group.get("ids"))}


def _finding(package: ReportedPackage, records: list[records_of.Record], scores: dict[str, str]) -> ReportedFinding:
    number = need(records[0], "id")
    about = (package.ecosystem, package.name)
    word, origin = records_of.severity(records, *about)
    if not word:
        word = next((found for record in records if (found := scores.get(text(record["id"])))), "")
        origin = "max_severity" if word else ""
    end = mended(records, *about, package.version)
    return ReportedFinding(
        source_id=number,
        title=records_of.title(records, package.name),
        severity=word,
        severity_origin=origin,
        rule=number,
        description=records_of.description(records),
        cvss=records_of.vectors(records, *about),
        cwe=records_of.weaknesses(records),
        identifiers=reading.names(*(one["id"] for one in records), *(one.get("aliases") for one in records)),
        package=replace(package, fixed_version=end.fixed, vulnerable_range=end.within),
        state="suppressed" if all(text(one.get("withdrawn")) for one in records) else "open",
        url=records_of.address(number),
        raw=records[0],
    )
