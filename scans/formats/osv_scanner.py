"""OSV-Scanner's own JSON (`osv-scanner scan --format json`): https://google.github.io/osv-scanner/output/."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from integrations.contract.payloads import at, objects, text
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
    for records in _same(usable):
        yield _finding(package, records, scores)
    for licence in reading.texts(entry.get("license_violations")):
        yield ReportedFinding(
            source_id=licence, title=f"Licence {licence} of {name}", severity="", kind="license", rule=licence, package=package,
            raw={"package": named, "license": licence},
        )  # fmt: skip


def _same(records: Iterable[Object]) -> Iterable[list[Object]]:
    """Put records together that name one another, or the same CVE, as aliases. Only aliases say that two are the same.

    Not by the report's groups: they hold everything that touches, though two CVEs are two vulnerabilities.
    """
    together: list[tuple[list[Object], set[str]]] = []
    known: dict[str, int] = {}
    for record in sorted(records, key=_rank):
        own = reading.texts([record["id"], *reading.texts(record.get("aliases"))])
        cves = {name for name in own if name.startswith("CVE-")}
        places = (known[name] for name in own if name in known)
        place = next((one for one in places if not cves or not together[one][1] or cves & together[one][1]), None)
        if place is None:
            place = len(together)
            together.append(([], set()))
        together[place][0].append(record)
        together[place][1].update(cves)
        for name in own:
            known.setdefault(name, place)
    return [same for same, _ in together]


def _rank(record: Object) -> tuple[bool, bool, str]:
    number = text(record["id"])
    return (not number.startswith("GHSA-"), number.startswith("CVE-"), number)


def _scores(groups: Any) -> dict[str, str]:
    """Return the highest score of the group that a record is in."""
    return {number: reading.word(group.get("max_severity")) for group in objects(groups) for number in reading.texts(group.get("ids"))}


def _finding(package: ReportedPackage, records: list[Object], scores: dict[str, str]) -> ReportedFinding:
    number = need(records[0], "id")
    word, origin = _severity(records, scores)
    fixed = reading.texts([version for record in records for version in _fixed(record, package)])
    return ReportedFinding(
        source_id=number,
        title=next((said for one in records if (said := text(one.get("summary"), 1000))), f"{number} in {package.name}"),
        severity=word,
        severity_origin=origin,
        rule=number,
        description=next((said for one in records if (said := reading.prose(one.get("details")))), ""),
        cvss=tuple(reading.texts([vector for one in records for vector in _vectors(one)])),
        cwe=tuple(reading.texts([cwe for one in records for cwe in reading.texts(at(one, "database_specific", "cwe_ids"))])),
        identifiers=reading.names(*(one["id"] for one in records), *(one.get("aliases") for one in records)),
        package=_with_fixes(package, fixed),
        state="suppressed" if all(text(one.get("withdrawn")) for one in records) else "open",
        url=f"https://osv.dev/vulnerability/{number}" if number.isascii() and number.replace("-", "").isalnum() else "",
        raw=records[0],
    )


def _severity(records: list[Object], scores: dict[str, str]) -> tuple[str, str]:
    for record in records:
        if word := text(at(record, "database_specific", "severity")):
            return word, "database_specific.severity"
    score = next((found for record in records if (found := scores.get(text(record["id"])))), "")
    return score, "max_severity" if score else ""


def _vectors(record: Object) -> list[str]:
    own = objects(record.get("severity")) or [one for part in objects(record.get("affected")) for one in objects(part.get("severity"))]
    return reading.texts([one.get("score") for one in own if text(one.get("type")).startswith("CVSS")])


def _fixed(record: Object, package: ReportedPackage) -> Iterator[str]:
    for affected in objects(record.get("affected")):
        if text(at(affected, "package", "name"), 1000).lower() != package.name.lower():
            continue
        for one in objects(affected.get("ranges")):
            if one.get("type") != _NO_ECOSYSTEM:
                yield from reading.texts([event.get("fixed") for event in objects(one.get("events"))])


def _with_fixes(package: ReportedPackage, fixed: list[str]) -> ReportedPackage:
    return replace(package, fixed_version=", ".join(fixed)[:1000])
