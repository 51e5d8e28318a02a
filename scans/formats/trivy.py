"""Trivy's own JSON (`trivy fs|image|repo|config --format json`): https://trivy.dev/latest/docs/configuration/reporting/."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from integrations.contract.payloads import objects, text, whole
from integrations.contract.reports import ReportedFinding, ReportedLocation, ReportedPackage
from scans.formats import reading
from scans.formats.base import Format, Head, Item, Problem, Section
from scans.formats.reading import Object, inner, need
from scans.formats.source import Source

_IMAGES = frozenset({"container_image", "vm"})
_LISTS = ("Vulnerabilities", "Misconfigurations", "Secrets", "Licenses")
_HARMLESS_LICENCES = frozenset({"notice", "permissive", "unencumbered"})
"""Trivy lists every licence that it meets; those of these categories ask for nothing."""
_MASKED = "***"
_SECRET_KEPT = ("RuleID", "Category", "Severity", "Title", "StartLine", "EndLine", "Layer")


class Target:
    """What a result is about: a file of the repository, or something in an image, which has no place in the repository."""

    def __init__(self, result: Object, root: str, *, in_image: bool) -> None:
        self.name = text(result.get("Target"), 2000)
        self.kind = text(result.get("Type"))
        # a file that was scanned alone is both the artifact and the target
        self._root = root.removesuffix(self.name) if f"/{root}".endswith(f"/{self.name}") else root
        self._is_file = not in_image and result.get("Class") != "os-pkgs"

    def path(self, name: Any = "") -> str:
        """Return the path of a file that the entry names, else of the target."""
        return reading.path(text(name, 2000) or self.name, self._root) if self._is_file else ""


class Trivy(Format):
    """Reports of Trivy."""

    key = "trivy"
    title = "Trivy JSON"

    @classmethod
    def recognises(cls, head: Head) -> bool:
        """Trivy names the artifact; before 0.20 a report was the list of results alone."""
        found = head.object
        if head.is_list:
            return "Target" in found and any(name in found for name in (*_LISTS, "Class", "Type"))
        return "SchemaVersion" in found and "ArtifactName" in found and ("ArtifactType" in found or "Results" in found)

    def read(self, source: Source) -> Iterator[Item]:
        """Yield what every result lists. A repository of which Trivy lists nothing is clean, an image of which it does was not read."""
        reading.expect(Trivy, source)
        is_list = isinstance(source.beginning(1), list)
        bulk = "item" if is_list else "Results.item"
        report = reading.Report(source, bulk)
        name, scanned = text(report.one("ArtifactName"), 2000), text(report.one("ArtifactType"))
        in_image = scanned in _IMAGES
        yield Section("trivy", text(report.one("Trivy.Version")), reading.image(name) if in_image else "")
        root = name if scanned == "filesystem" else ""
        place = -1
        for place, result in enumerate(report.each(bulk)):
            where = f"{'' if is_list else 'Results'}[{place}]"
            if isinstance(result, dict):
                yield from _result(where, result, Target(result, root, in_image=in_image))
            else:
                yield Problem(where, "It is no object.")
        if not is_list and not report.has_list("Results", required=False):
            yield Problem("Results", reading.NO_LIST)
        elif in_image and place < 0:
            yield Problem("Results", "Trivy lists nothing of the image, not even its packages: check that it could read it.")


def _result(where: str, result: Object, target: Target) -> Iterator[Item]:
    for name in _LISTS:
        entries = result.get(name)
        if entries is not None and not isinstance(entries, list):
            yield Problem(f"{where}.{name}", reading.NO_LIST)
        kept = [one for one in entries if _is_finding(name, one)] if isinstance(entries, list) else ()
        yield from reading.usable(f"{where}.{name}", kept, partial(_MAKERS[name], target))
    for place, changed in enumerate(objects(result.get("ExperimentalModifiedFindings"))):
        make = _MODIFIED.get(text(changed.get("Type")))
        if make and changed.get("Status") != "fixed":
            for item in reading.usable(f"{where}.ExperimentalModifiedFindings[{place}]", [changed.get("Finding")], partial(make, target)):
                yield replace(item, state="suppressed") if isinstance(item, ReportedFinding) else item


def _is_finding(name: str, entry: Any) -> bool:
    if not isinstance(entry, dict):
        return True
    if name == "Misconfigurations":
        return entry.get("Status") != "PASS"
    return name != "Licenses" or text(entry.get("Category")) not in _HARMLESS_LICENCES


def _vulnerability(target: Target, entry: Object) -> ReportedFinding:
    number = need(entry, "VulnerabilityID")
    package = ReportedPackage(
        ecosystem=target.kind,
        name=need(entry, "PkgName"),
        version=text(entry.get("InstalledVersion")),
        fixed_version=text(entry.get("FixedVersion"), 1000),
        purl=text(inner(entry, "PkgIdentifier").get("PURL"), 1000),
        manifest=target.path(entry.get("PkgPath")),
    )
    return ReportedFinding(
        source_id=number,
        title=text(entry.get("Title"), 1000) or number,
        severity=text(entry.get("Severity")),
        severity_origin=f"Severity of {source}" if (source := text(entry.get("SeveritySource"))) else "Severity",
        rule=number,
        description=reading.prose(entry.get("Description")),
        cvss=_vectors(inner(entry, "CVSS"), text(entry.get("SeveritySource"))),
        cwe=tuple(reading.texts(entry.get("CweIDs"))),
        identifiers=reading.names(number, entry.get("VendorIDs")),
        package=package,
        url=text(entry.get("PrimaryURL"), 2000),
        raw=entry,
    )


def _vectors(sources: Object, first: str) -> tuple[str, ...]:
    """Return the vectors, those first that the severity comes from, then NVD's."""
    ordered = sorted(sources, key=lambda name: (name != first, name != "nvd", name))
    scores = [inner(sources, name) for name in ordered]
    return tuple(reading.texts([score.get(name) for score in scores for name in ("V40Vector", "V3Vector", "V2Vector")]))


def _misconfiguration(target: Target, entry: Object) -> ReportedFinding:
    rule, cause, message = need(entry, "ID", "AVDID"), inner(entry, "CauseMetadata"), reading.prose(entry.get("Message"))
    resource = text(cause.get("Resource"))
    return ReportedFinding(
        source_id=rule,
        title=text(entry.get("Title"), 1000) or rule,
        severity=text(entry.get("Severity")),
        severity_origin="Severity",
        kind="config",
        rule=rule,
        description="\n\n".join(part for part in (reading.prose(entry.get("Description")), message) if part),
        locations=_place(target, "", cause),
        fingerprints={"cause": f"{resource}\n{message}"},
        state="suppressed" if entry.get("Status") == "EXCEPTION" else "open",
        url=text(entry.get("PrimaryURL"), 2000),
        raw={**entry, "Message": message, "CauseMetadata": {name: value for name, value in cause.items() if name != "Code"}},
    )


def _secret(target: Target, entry: Object) -> ReportedFinding:
    rule = need(entry, "RuleID")
    title = text(entry.get("Title"), 1000) or rule
    match = reading.masked(entry.get("Match"))
    return ReportedFinding(
        source_id=rule,
        title=title,
        severity=text(entry.get("Severity")),
        severity_origin="Severity",
        kind="secret",
        rule=rule,
        description=title if target.path() else f"{title} in {target.name}",
        locations=_place(target, "", entry),
        # where Trivy has masked the secret, the rest of the line tells it from others
        fingerprints={"secret": f"{'' if target.path() else target.name} {match}"} if _MASKED in match else {"secret": target.name},
        raw={name: entry[name] for name in _SECRET_KEPT if name in entry},
    )


def _licence(target: Target, entry: Object) -> ReportedFinding:
    licence, name = need(entry, "Name"), text(entry.get("PkgName"))
    file = text(entry.get("FilePath"), 2000)
    return ReportedFinding(
        source_id=licence,
        title=f"Licence {licence}{f' of {name}' if name else ''}",
        severity=text(entry.get("Severity")),
        severity_origin="Severity",
        kind="license",
        rule=licence,
        description=text(entry.get("Category")),
        package=ReportedPackage(target.kind, name, manifest=target.path(file) if file else "") if name else None,
        locations=() if name else _place(target, file, {}),
        url=text(entry.get("Link"), 2000),
        raw={key: value for key, value in entry.items() if key != "Text"},
    )


def _place(target: Target, file: str, lines: Object) -> tuple[ReportedLocation, ...]:
    path = target.path(file)
    return (ReportedLocation(path, whole(lines.get("StartLine"), 1), whole(lines.get("EndLine"), 1)),) if path else ()


_Maker = Callable[[Target, Object], ReportedFinding]
_MAKERS: dict[str, _Maker] = dict(zip(_LISTS, (_vulnerability, _misconfiguration, _secret, _licence), strict=True))
_MODIFIED: dict[str, _Maker] = {
    "vulnerability": _vulnerability, "misconfiguration": _misconfiguration, "secret": _secret, "license": _licence,
}  # fmt: skip
