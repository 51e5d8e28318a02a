"""Grype's own JSON (`grype --output json`): https://github.com/anchore/grype."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from integrations.contract.payloads import at, objects, text
from integrations.contract.reports import ReportedFinding, ReportedPackage
from scans.formats import reading
from scans.formats.base import Format, Head, Item, Section
from scans.formats.reading import Object, inner, need
from scans.formats.source import Source


class Grype(Format):
    """Reports of Grype."""

    key = "grype"
    title = "Grype JSON"

    @classmethod
    def recognises(cls, head: Head) -> bool:
        """Grype lists matches of a vulnerability with an artifact; without any, its descriptor says its name."""
        found = head.document
        if not isinstance(found, dict) or not isinstance(found.get("matches"), list):
            return False
        first = next(iter(objects(found["matches"])), None) or next(iter(objects(found.get("ignoredMatches"))), None)
        if first is None:
            return bool(at(found, "descriptor", "name") == "grype")
        return isinstance(first.get("vulnerability"), dict) and isinstance(first.get("artifact"), dict)

    def read(self, source: Source) -> Iterator[Item]:
        """Yield matches, and as suppressed those that Grype was told to ignore."""
        reading.expect(Grype, source)
        report = reading.Report(source, "matches.item")
        scanned, target = report.one("source.type"), report.one("source.target")
        is_image = scanned == "image" or isinstance(target, dict)
        name = at(target, "userInput") if is_image else target
        yield Section("grype", text(report.one("descriptor.version")), reading.image(name) if is_image else "")
        root = text(name, 2000) if scanned == "directory" else None
        make = partial(_finding, root)
        yield from reading.listed(report, "matches", partial(make, "open"), required=True)
        yield from reading.listed(report, "ignoredMatches", partial(make, "suppressed"))


def _finding(root: str | None, state: str, entry: Object) -> ReportedFinding:
    vulnerability, artifact = inner(entry, "vulnerability"), inner(entry, "artifact")
    number = need(vulnerability, "id")
    purl = text(artifact.get("purl"), 1000)
    package = ReportedPackage(
        ecosystem=text(artifact.get("type")),
        name=need(artifact, "name"),
        version=text(artifact.get("version")),
        fixed_version=_fixed(vulnerability),
        vulnerable_range=_range(entry.get("matchDetails")),
        purl=purl,
        manifest="" if root is None else _manifest(artifact, root),
    )
    return ReportedFinding(
        source_id=number,
        title=f"{number} in {package.name}",
        severity=text(vulnerability.get("severity")),
        severity_origin="severity",
        rule=number,
        description=_description(vulnerability, entry),
        cvss=_vectors(vulnerability) or tuple(vector for one in _related(entry) for vector in _vectors(one)),
        cwe=tuple(reading.texts([one.get("cwe") for one in objects(vulnerability.get("cwes"))])),
        identifiers=_names(number, entry),
        package=package,
        state=state,
        url=text(vulnerability.get("dataSource"), 2000),
        raw=entry,
    )


def _fixed(vulnerability: Object) -> str:
    versions = reading.texts(inner(vulnerability, "fix").get("versions"))
    return ", ".join(versions)[:1000] or text(vulnerability.get("fixedInVersion"))


def _range(details: Any) -> str:
    found = objects(details) or objects([details])
    return next((words for one in found if (words := text(inner(one, "found").get("versionConstraint"), 1000))), "")


def _manifest(artifact: Object, root: str) -> str:
    return next((path for one in objects(artifact.get("locations")) if (path := reading.below(one.get("path"), root))), "")


def _related(entry: Object) -> list[dict[str, Any]]:
    return objects(entry.get("relatedVulnerabilities"))


def _description(vulnerability: Object, entry: Object) -> str:
    own = reading.prose(vulnerability.get("description"))
    return own or next((found for one in _related(entry) if (found := reading.prose(one.get("description")))), "")


def _vectors(vulnerability: Object) -> tuple[str, ...]:
    """Return the vectors; before 0.8 there was one object for each version of CVSS."""
    listed = [one.get("vector") for one in objects(vulnerability.get("cvss"))]
    return tuple(reading.texts([*listed, *(inner(vulnerability, name).get("vector") for name in ("cvssV3", "cvssV2"))]))


def _names(number: str, entry: Object) -> tuple[tuple[str, str], ...]:
    """Return the names. What is related to a distribution's advisory is what it mends; to GitHub's, its one CVE."""
    related = [one.get("id") for one in _related(entry)] if number.startswith("GHSA-") else []
    return reading.names(number, *related)
