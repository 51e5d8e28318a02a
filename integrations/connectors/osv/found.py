"""What OSV knows of one package, as findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from integrations.connectors.osv import records as records_of
from integrations.connectors.osv.asked import Asked
from integrations.connectors.osv.fixes import mended
from integrations.connectors.osv.records import Record
from integrations.contract.payloads import at, moment, objects, text
from integrations.contract.reports import ReportedFinding

_KEPT = ("id", "aliases", "modified", "published", "withdrawn", "summary", "severity", "database_specific")
_AFFECTED_KEPT = ("package", "ranges", "severity", "ecosystem_specific")
_MOST_SHARED = 100_000
_MOST_REFERENCES = 20


def names_of(packages: Iterable[Asked]) -> frozenset[str]:
    """Return the names of packages as slim() compares them."""
    return frozenset(records_of.plain_name(one.ecosystem, one.name) for one in packages)


def slim(record: Record, names: frozenset[str]) -> dict[str, Any]:
    """Return what is needed of a record about packages of these names: the lists of all affected versions may be megabytes."""
    parts = [part for part in objects(record.get("affected")) if _plain_name(part) in names]
    return {
        **{name: record[name] for name in _KEPT if name in record},
        "details": str(record.get("details") or "")[: records_of.LONGEST],
        "references": objects(record.get("references"))[:_MOST_REFERENCES],
        "affected": [{name: part[name] for name in _AFFECTED_KEPT if name in part} for part in parts],
    }


def _plain_name(part: Record) -> str:
    return records_of.plain_name(text(at(part, "package", "ecosystem")), text(at(part, "package", "name"), 1000))


def findings(package: Asked, records: Sequence[Record]) -> list[ReportedFinding]:
    """Return a finding for each vulnerability of a package, by all of its names; what was withdrawn is none, and so is closed."""
    living = [one for one in records if not text(one.get("withdrawn"))]
    return [_finding(package, group) for group in records_of.same(living)]


def unread(package: Asked, number: str) -> ReportedFinding:
    """Return a finding of a vulnerability that OSV lists, and has no record of: it is there, but nothing is known of it."""
    return _finding(package, [{"id": number}])


def _finding(package: Asked, group: Sequence[Record]) -> ReportedFinding:
    number = text(group[0].get("id"))
    about = (package.ecosystem, package.name)
    word, origin = records_of.severity(group, *about)
    end = mended(group, *about, package.version)
    return ReportedFinding(
        source_id=number,
        title=records_of.title(group, package.name),
        severity=word,
        severity_origin=origin,
        rule=number,
        description=records_of.description(group),
        cvss=records_of.vectors(group, *about),
        cwe=records_of.weaknesses(group),
        identifiers=_names(group),
        package=package.reported(end.fixed, end.within),
        url=records_of.address(number),
        created_at=moment(group[0].get("published")),
        updated_at=moment(group[0].get("modified")),
        raw=_raw(package, group),
    )


def _names(group: Sequence[Record]) -> tuple[tuple[str, str], ...]:
    """Return ids and aliases, and neither `related` nor `upstream`: those are other vulnerabilities."""
    names = [name for one in group for name in (text(one.get("id")), *records_of.texts(one.get("aliases"))) if name]
    return tuple((name.partition("-")[0].upper(), name) for name in dict.fromkeys(names))


def _raw(package: Asked, group: Sequence[Record]) -> dict[str, Any]:
    """Return the record that tells most, of what is affected this package only; with the files that name the package."""
    first = group[0]
    raw = {name: first[name] for name in _KEPT if name in first}
    if len(repr(raw)) > _MOST_SHARED:  # it would be held once for each package
        raw = {name: first[name] for name in ("id", "aliases", "modified") if name in first}
    affected = [{"package": at(part, "package"), "ranges": part.get("ranges")} for part in _affected(package, first)]
    return {**raw, "affected": affected, "references": first.get("references", []), "manifests": list(package.manifests)}


def _affected(package: Asked, record: Record) -> list[Record]:
    return records_of.affecting(record, package.ecosystem, package.name)
