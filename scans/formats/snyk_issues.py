"""Single issues as Snyk's CLI writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from integrations.contract.payloads import text, whole
from integrations.contract.reports import ReportedFinding, ReportedLocation, ReportedPackage
from scans.formats import reading
from scans.formats.reading import Object, inner, need

_LINKED = re.compile(r"[A-Za-z0-9:._-]+")


@dataclass(frozen=True)
class Project:
    """What a project's issues have in common."""

    manager: str
    """Snyk's word for what manages the packages, such as npm or maven."""
    manifest: str
    """The file with the dependencies, empty for an image, which has no place in the repository."""
    tool: str
    category: str = ""
    """Tells images apart, of which there are separate reports."""


def name(entry: Object) -> str:
    """Return the package's name; of a Linux distribution's the one that is installed: gcc-10/libgcc-s1 has both."""
    full = text(entry.get("name"), 1000)
    if entry.get("language") == "linux" and "/" in full:
        return full.rpartition("/")[2]
    return text(entry.get("packageName"), 1000) or text(entry.get("moduleName"), 1000) or full


def affected(packages: Any, issues: Any) -> Iterator[dict[str, Any]]:
    """Yield an entry for each pair of a package and its issue, out of the form that keeps them apart."""
    known = issues if isinstance(issues, dict) else {}
    for one in packages.values() if isinstance(packages, dict) else ():
        if not isinstance(one, dict):
            continue
        package = inner(one, "pkg")
        for number in inner(one, "issues"):
            yield {"id": number, **inner(known, number), "name": package.get("name"), "version": package.get("version")}


def dependency(project: Project, state: str, entry: Object) -> ReportedFinding:
    """Return a vulnerability or a licence issue of a dependency."""
    number = need(entry, "id")
    package = name(entry)
    if not package:
        raise reading.Unusable("It has no packageName.")
    is_licence = entry.get("type") == "license" or number.startswith("snyk:lic:")
    identifiers = inner(entry, "identifiers")
    severity, origin = _severity(entry)
    return ReportedFinding(
        source_id=number,
        title=text(entry.get("title"), 1000) or number,
        severity=severity,
        severity_origin=origin,
        kind="license" if is_licence else "",
        rule=number,
        description=reading.prose(entry.get("description")),
        cvss=tuple(reading.texts(entry.get("CVSSv3"))),
        cwe=tuple(reading.texts(identifiers.get("CWE"))),
        identifiers=() if is_licence else reading.names(number, *identifiers.values(), entry.get("alternativeIds")),
        package=ReportedPackage(
            ecosystem=text(entry.get("packageManager")) or project.manager,
            name=package,
            version=text(entry.get("version")),
            fixed_version=text(entry.get("nearestFixedInVersion")) or ", ".join(reading.texts(entry.get("fixedIn")))[:1000],
            vulnerable_range=" || ".join(reading.texts(inner(entry, "semver").get("vulnerable")))[:1000],
            manifest=project.manifest,
        ),
        state="suppressed" if entry.get("isIgnored") is True else state,
        url=f"https://security.snyk.io/vuln/{number}" if _LINKED.fullmatch(number) and not is_licence else "",
        raw=entry,
    )


def _severity(entry: Object) -> tuple[str, str]:
    """Return the severity that the organisation has set, where it has; before there was a critical one, `severity` ended with high."""
    fields = ("severity",) if entry.get("originalSeverity") else ("severityWithCritical", "severity")
    return next(((word, field) for field in fields if (word := text(entry.get(field)))), ("", ""))


def misconfiguration(project: Project, entry: Object) -> ReportedFinding:
    """Return an issue of infrastructure as code."""
    rule = need(entry, "id", "publicId")
    parts = {**entry, **inner(entry, "iacDescription")}
    place = reading.texts(entry.get("cloudConfigPath") or entry.get("path"))
    if not project.manifest:
        raise reading.Unusable("Its project has no targetFile.")
    return ReportedFinding(
        source_id=rule,
        title=text(entry.get("title"), 1000) or rule,
        severity=text(entry.get("severity")),
        severity_origin="severity",
        kind="config",
        rule=rule,
        description="\n\n".join(prose for part in ("issue", "impact", "resolve") if (prose := reading.prose(parts.get(part)))),
        locations=(ReportedLocation(project.manifest, whole(entry.get("lineNumber"), 1)),),
        fingerprints={"setting": "/".join(place)[:1000]} if place else {},
        state="suppressed" if entry.get("isIgnored") is True else "open",
        url=text(entry.get("documentation"), 2000),
        raw=entry,
    )
