"""Checkov's own JSON (`checkov --output json`): https://www.checkov.io/2.Basics/Reviewing%20Scan%20Results.html."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from integrations.contract.payloads import objects, text, whole
from integrations.contract.reports import ReportedFinding, ReportedLocation, ReportedPackage
from scans.formats import reading
from scans.formats.base import Format, Head, Item, Problem, Section
from scans.formats.reading import Object, inner, need
from scans.formats.source import Source

_KEPT = ("check_id", "bc_check_id", "check_name", "check_class", "file_path", "repo_file_path", "file_line_range", "resource", "severity",
         "guideline", "vulnerability_details")  # fmt: skip
"""What is stored of an entry: not code_block and evaluations, which quote the files."""


class Checkov(Format):
    """Reports of Checkov: one object, or a list with one for each framework."""

    key = "checkov"
    title = "Checkov JSON"

    @classmethod
    def recognises(cls, head: Head) -> bool:
        """Checkov names the type of its checks; where there was nothing to check, only the summary is left."""
        found = head.object
        if "check_type" in found:
            return isinstance(found.get("results"), dict) or "summary" in found
        return not head.is_list and "checkov_version" in found and "resource_count" in found

    def read(self, source: Source) -> Iterator[Item]:
        """Yield failed checks, skipped ones as suppressed. A file that could not be parsed is a problem."""
        reading.expect(Checkov, source)
        report = source.document()
        frameworks = report if isinstance(report, list) else [report]
        yield Section("checkov", next((version for one in objects(frameworks) if (version := _version(one))), ""))
        for place, framework in enumerate(frameworks):
            where = f"[{place}]." if isinstance(report, list) else ""
            if isinstance(framework, dict):
                yield from _framework(where, framework)
            else:
                yield Problem(where, "It is no object.")


def _version(framework: Object) -> str:
    return text(inner(framework, "summary").get("checkov_version")) or text(framework.get("checkov_version"))


def _framework(where: str, framework: Object) -> Iterator[Item]:
    kind, results = text(framework.get("check_type")), inner(framework, "results")
    for name, state in (("failed_checks", "open"), ("skipped_checks", "suppressed")):
        entries = results.get(name)
        if isinstance(entries, list):
            yield from reading.usable(f"{where}results.{name}", entries, partial(_finding, kind, state))
        elif entries is not None or (name == "failed_checks" and kind):
            yield Problem(f"{where}results.{name}", reading.NO_LIST)
    errors = results.get("parsing_errors")
    for place, file in enumerate(errors if isinstance(errors, list) else ()):
        yield Problem(f"{where}results.parsing_errors[{place}]", f"Checkov could not parse {reading.path(file) or 'a file'}.")


def _finding(framework: str, state: str, entry: Object) -> ReportedFinding:
    rule = need(entry, "check_id")
    path = reading.path(entry.get("repo_file_path")) or reading.path(entry.get("file_path"))
    found = inner(entry, "vulnerability_details")
    if found:
        return _vulnerability(found, path, state, entry)
    if not path:
        raise reading.Unusable("It has no file_path.")
    name, resource = text(entry.get("check_name"), 1000) or rule, text(entry.get("resource"), 1000)
    secret = framework == "secrets"
    return ReportedFinding(
        source_id=rule,
        title=name,
        severity=text(entry.get("severity")),
        severity_origin="severity" if entry.get("severity") else "",
        kind="secret" if secret else "config",
        rule=rule,
        description=f"{name}: {resource}" if resource and not secret else name,
        locations=(ReportedLocation(path, *_lines(entry.get("file_line_range"))),),
        fingerprints={"resource": f"resource {resource}"} if resource else {},
        state=state,
        url=text(entry.get("guideline"), 2000),
        raw=_raw(entry, secret=secret),
    )


def _raw(entry: Object, *, secret: bool = False) -> dict[str, Any]:
    """Return what is stored of an entry; the resource of a secret is an unsalted hash of it."""
    return {name: entry[name] for name in _KEPT if name in entry and not (secret and name == "resource")}


def _lines(value: Any) -> tuple[int | None, int | None]:
    first, last = value if isinstance(value, list) and len(value) == 2 else (None, None)
    return whole(first, 1), whole(last, 1)


def _vulnerability(found: Object, path: str, state: str, entry: Object) -> ReportedFinding:
    number = need(found, "id")
    package = ReportedPackage(
        ecosystem=text(found.get("package_type")),
        name=need(found, "package_name"),
        version=text(found.get("package_version")),
        fixed_version=text(found.get("lowest_fixed_version")),
        manifest=path,
    )
    return ReportedFinding(
        source_id=number,
        title=f"{number} in {package.name}",
        severity=text(found.get("severity")) or text(entry.get("severity")),
        severity_origin="severity",
        rule=number,
        description=reading.prose(found.get("description")),
        cvss=tuple(reading.texts(found.get("vector"))),
        identifiers=reading.names(number),
        package=package,
        state=state,
        url=text(found.get("link"), 2000),
        raw=_raw(entry),
    )
