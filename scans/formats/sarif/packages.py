"""Packages that results are about. SARIF has no place for them: each scanner of dependencies says it in its own way, or not at all."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from integrations.contract.reports import ReportedLocation, ReportedPackage
from scans.formats.purls import package_of
from scans.formats.sarif.rules import Rule
from scans.formats.sarif.texts import LONGEST, listed, objects, part, written

_PURL_NAMES = ("purl", "packageURL", "packageUrl", "package_url")
_MOST = 20
_LINE = re.compile(
    r"^\s*(?:\* )?(Package(?: Manager)?|Vulnerable module|(?:Installed )?Version|Fix(?:ed)? Version|Type)\s?: ?(.{1,300}?)\s*$",
    re.MULTILINE,
)
_OSV = re.compile(r"Package '([^']{1,300})@([^'@]{1,200})' is vulnerable")
_GRYPE = re.compile(r" reports (\S{1,300}) at version (\S{1,200}) ")
_NAMED = re.compile(r"(@?[^@\s]{1,300})@([^@\s]{1,200})")
# what the name of a lock file or manifest says for certain
_MANIFESTS = {
    "package-lock.json": "npm", "yarn.lock": "npm", "pnpm-lock.yaml": "npm", "package.json": "npm", "npm-shrinkwrap.json": "npm",
    "requirements.txt": "pypi", "pipfile.lock": "pypi", "poetry.lock": "pypi", "uv.lock": "pypi", "pdm.lock": "pypi",
    "go.mod": "golang", "go.sum": "golang", "gemfile.lock": "gem", "composer.lock": "composer", "cargo.lock": "cargo",
    "pom.xml": "maven", "gradle.lockfile": "maven", "build.gradle": "maven", "packages.lock.json": "nuget", "pubspec.lock": "pub",
    "mix.lock": "hex", "podfile.lock": "cocoapods", "package.resolved": "swift",
}  # fmt: skip


def package(tool: str, rule: Rule, result: dict[str, Any], text: str, locations: tuple[ReportedLocation, ...]) -> ReportedPackage | None:
    """Return the package that a result of a scanner of dependencies is about, None where it isn't said for certain."""
    manifest = locations[0].path if locations else ""
    found = _by_purl(rule, result, manifest)
    if found is not None:
        return found
    if tool == "trivy":
        return _by_lines(_lines(text), manifest)
    if tool == "osv-scanner":
        match = _OSV.search(text)
        return _named(match[1], match[2], manifest) if match else None
    if tool == "grype":
        return _of_grype(rule, text, manifest)
    return _of_snyk(rule, result, manifest) if tool.startswith("snyk") else None


def has_purl(properties: dict[str, Any]) -> bool:
    """Say whether a result's properties name a package."""
    return any(name in properties for name in _PURL_NAMES)


def _by_purl(rule: Rule, result: dict[str, Any], manifest: str) -> ReportedPackage | None:
    properties = part(result, "properties")
    purls = [properties.get(name) for name in _PURL_NAMES if name in properties]
    for location in objects(result.get("locations"), _MOST):
        purls += [logical.get("fullyQualifiedName") for logical in objects(location.get("logicalLocations"), _MOST)]
    of_rule = part(rule.descriptor, "properties")
    ours = listed(of_rule.get("purls"), _MOST) + [of_rule.get(name) for name in _PURL_NAMES]
    if len([one for one in ours if one]) == 1:  # several don't say which of them a result is about
        purls += ours
    found = next((found for purl in purls if (found := package_of(purl, manifest))), None)
    fixed = _lines(written(rule.descriptor.get("help"))).get("fix version", "") if found else ""
    return replace(found, fixed_version=_single(fixed)) if found and fixed else found


def _by_lines(lines: dict[str, str], manifest: str) -> ReportedPackage | None:
    """Read Trivy's message, which is made of lines with a name and a value."""
    name = lines.get("package", "")
    found = _named(name, lines.get("installed version", ""), manifest) if name else None
    return replace(found, fixed_version=_single(lines.get("fixed version", ""))) if found else None


def _of_grype(rule: Rule, text: str, manifest: str) -> ReportedPackage | None:
    """Read the help of Grype's rule, which is there for each vulnerability and package; the version is the result's."""
    lines = _lines(written(rule.descriptor.get("help")))
    match = _GRYPE.search(text)
    name = lines.get("package", "") or (match[1] if match else "")
    if not name:
        return None
    found = _named(name, match[2] if match else lines.get("version", ""), manifest)
    return replace(found, ecosystem=lines.get("type", "") or found.ecosystem, fixed_version=_single(lines.get("fix version", "")))


def _of_snyk(rule: Rule, result: dict[str, Any], manifest: str) -> ReportedPackage | None:
    """Read the logical location of Snyk Open Source and Container, name@version, and the package manager in the rule's help."""
    manager = _lines(written(rule.descriptor.get("help"))).get("package manager", "")
    for location in objects(result.get("locations"), _MOST):
        for logical in objects(location.get("logicalLocations"), _MOST):
            name = logical.get("fullyQualifiedName")
            if isinstance(name, str) and (match := _NAMED.fullmatch(name)):
                found = _named(match[1], match[2], manifest)
                return replace(found, ecosystem=manager or found.ecosystem)
    return None


def _named(name: str, version: str, manifest: str) -> ReportedPackage:
    ecosystem = _MANIFESTS.get(manifest.rpartition("/")[2].lower(), "")
    return ReportedPackage(ecosystem=ecosystem, name=name, version=version, manifest=manifest)


def _single(version: str) -> str:
    """Return a version where there is one; several fix different lines, and nothing says which is ours."""
    return "" if any(mark in version for mark in ", ") or version.lower() in {"none", "unknown"} else version


def _lines(text: str) -> dict[str, str]:
    return {match[1].lower(): match[2] for match in _LINE.finditer(text[:LONGEST])}
