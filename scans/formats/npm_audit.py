"""npm's own JSON (`npm audit --json`), of version 6 (pnpm's too) and 7 on: https://docs.npmjs.com/cli/commands/npm-audit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from core.errors import InvalidInput
from integrations.contract.payloads import objects, text
from integrations.contract.reports import ReportedFinding, ReportedPackage
from scans.formats import reading
from scans.formats.base import Format, Head, Item, Problem, Section
from scans.formats.reading import Object, inner, need
from scans.formats.source import Source

_GHSA = re.compile(r"GHSA(?:-[0-9a-z]{4}){3}")
_FROM = re.compile(r">=\s*([0-9A-Za-z.+-]+)")
_ERROR = re.compile(r"E[A-Z0-9]{2,30}")


class NpmAudit(Format):
    """Reports of npm audit. They tell no path: what scans several packages names a category for each."""

    key = "npm_audit"
    title = "npm audit JSON"

    @classmethod
    def recognises(cls, head: Head) -> bool:
        """npm 7 says the version of the report, npm 6 has advisories with actions; one that failed has an error with npm's code."""
        found = head.document
        if not isinstance(found, dict):
            return False
        if "auditReportVersion" in found:
            return isinstance(found.get("vulnerabilities"), dict)
        if isinstance(found.get("advisories"), dict):
            return any(name in found for name in ("actions", "muted", "metadata")) or _is_advisory(found["advisories"])
        return bool(_error(found))

    def read(self, source: Source) -> Iterator[Item]:
        """Yield one finding for each advisory and package, not for the chain of packages that need it."""
        reading.expect(NpmAudit, source)
        report = source.document()
        if "advisories" not in report and "auditReportVersion" not in report:
            raise InvalidInput(f"npm audit failed: {_error(report)}", code="scan_failed")
        yield Section("npm-audit")
        yield from _old(inner(report, "advisories")) if "auditReportVersion" not in report else _new(inner(report, "vulnerabilities"))


def _is_advisory(advisories: Object) -> bool:
    return all(isinstance(one, dict) and "module_name" in one for one in list(advisories.values())[:1])


def _error(found: Object) -> str:
    error = inner(found, "error")
    if not _ERROR.fullmatch(text(error.get("code"))) or not ("summary" in error or "detail" in error):
        return ""
    said = reading.said(error.get("summary")) or reading.said(error.get("detail"))
    return f"{text(error['code'])}{f', {said}' if said else ''}."


def _new(packages: Object) -> Iterator[Item]:
    """Yield the advisories: `via` names another package where a package only needs one that is vulnerable."""
    seen: set[tuple[str, str]] = set()
    for name, package in packages.items():
        if not isinstance(package, dict) or not isinstance(package.get("via"), list):
            yield Problem("vulnerabilities", "A package is no object with a list `via`.")
            continue
        for item in reading.usable(f"vulnerabilities.{text(name)}.via", _advisories(package["via"]), _advisory):
            if isinstance(item, Problem):
                yield item
            elif item.package and (key := (item.source_id, item.package.name)) not in seen:
                seen.add(key)
                yield item


def _advisories(via: list[Any]) -> list[Any]:
    return [one for one in via if not isinstance(one, str)]


def _advisory(entry: Object) -> ReportedFinding:
    name, url, cvss = need(entry, "name", "dependency"), text(entry.get("url"), 2000), inner(entry, "cvss")
    ghsa = found[0] if (found := _GHSA.search(url)) else ""
    # npm's own number changes whenever the advisory does
    number = ghsa or need(entry, "source", "title")
    return ReportedFinding(
        source_id=number,
        title=text(entry.get("title"), 1000) or number,
        severity=text(entry.get("severity")),
        severity_origin="severity",
        rule=number,
        cvss=tuple(reading.texts(cvss.get("vectorString"))),
        cwe=tuple(reading.texts(entry.get("cwe"))),
        identifiers=reading.names(ghsa),
        package=ReportedPackage("npm", name, vulnerable_range=text(entry.get("range"), 1000)),
        url=url,
        raw=entry,
    )


def _old(advisories: Object) -> Iterator[Item]:
    for name, advisory in advisories.items():
        where = f"advisories.{text(name)}"
        if isinstance(advisory, dict):
            versions = reading.texts([one.get("version") for one in objects(advisory.get("findings"))]) or [""]
            yield from reading.usable(where, ({**advisory, "version": version} for version in versions), _old_advisory)
        else:
            yield Problem(where, "It is no object.")


def _old_advisory(entry: Object) -> ReportedFinding:
    url = text(entry.get("url"), 2000)
    ghsa = text(entry.get("github_advisory_id")) or (found[0] if (found := _GHSA.search(url)) else "")
    number = ghsa or need(entry, "id")
    patched = text(entry.get("patched_versions"), 1000)
    package = ReportedPackage(
        ecosystem="npm",
        name=need(entry, "module_name"),
        version=text(entry.get("version")),
        fixed_version=", ".join(_FROM.findall(patched)),
        vulnerable_range=text(entry.get("vulnerable_versions"), 1000),
    )
    return ReportedFinding(
        source_id=number,
        title=text(entry.get("title"), 1000) or number,
        severity=text(entry.get("severity")),
        severity_origin="severity",
        rule=number,
        description=reading.prose(entry.get("overview")),
        cvss=tuple(reading.texts(inner(entry, "cvss").get("vectorString"))),
        cwe=tuple(reading.texts(entry.get("cwe"))),
        identifiers=reading.names(ghsa, entry.get("cves")),
        package=package,
        url=url,
        raw={key: value for key, value in entry.items() if key != "findings"},
    )
