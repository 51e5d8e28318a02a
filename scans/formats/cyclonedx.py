"""CycloneDX JSON 1.4 to 1.6 (https://cyclonedx.org/docs/): a bill of materials with vulnerabilities, or a VEX about one.

Vulnerabilities point to components, which may come before or behind them, and may be nested; only those pointed to are remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from core.errors import InvalidInput
from integrations.contract.payloads import objects, text
from integrations.contract.reports import ReportedPackage
from integrations.contract.tools import NO_NAME, tool_name
from scans.formats.base import Format, Head, Item, Problem, Section
from scans.formats.cyclonedx_vulnerability import MOST_AFFECTED, findings
from scans.formats.purls import package_of
from scans.formats.slices import Sliced
from scans.formats.source import Source

# those that find vulnerabilities, among the tools that made a bill
_SCANNERS = frozenset(
    {"trivy", "grype", "dependency-track", "dependency-check", "osv-scanner", "snyk", "dep-scan", "owasp-dep-scan", "bomber"}
)
_LISTS = ("components", "vulnerabilities", "dependencies", "services", "compositions", "annotations", "externalReferences")
_MOST_TOOLS = 50
_LONGEST_REF = 1_000


class CycloneDX(Format):
    """Bills of materials with vulnerabilities."""

    key = "cyclonedx"
    title = "CycloneDX JSON"

    @classmethod
    def recognises(cls, head: Head) -> bool:
        """CycloneDX names itself; its vulnerabilities may come too late to be seen."""
        return not head.is_list and head.object.get("bomFormat") == "CycloneDX"

    def read(self, source: Source) -> Iterator[Item]:
        """Yield a finding for each vulnerability and component that it affects."""
        bill = _Bill(source)
        if not isinstance(bill.document, dict) or bill.document.get("bomFormat") != "CycloneDX":  # named so by whoever sent it
            raise InvalidInput("The report is no CycloneDX JSON, which names itself in bomFormat.", code="wrong_format")
        if not isinstance(bill.document.get("vulnerabilities"), list):
            raise InvalidInput(
                "The report is a CycloneDX bill of materials without vulnerabilities: it lists components, and says nothing about them. "
                "Let a scanner write one with vulnerabilities, an empty list where it found none.",
                code="no_vulnerabilities",
            )
        yield _section(bill.document)
        packages = _packages(bill)
        for number, vulnerability in enumerate(bill.entries("vulnerabilities")):
            where = f"vulnerabilities[{number}]"
            if not isinstance(vulnerability, dict):
                yield Problem(where, "The vulnerability is no object.")
                continue
            affected = _affected(vulnerability)
            if len(affected) > MOST_AFFECTED:
                yield Problem(where, f"The vulnerability affects more than {MOST_AFFECTED} components; the rest is left out.")
            try:
                yield from findings(vulnerability, [(one, _named(one, packages)) for one in affected[:MOST_AFFECTED]])
            except InvalidInput as error:
                yield Problem(where, error.message)


class _Bill:
    """The document and its lists, of which a large one is read in slices."""

    def __init__(self, source: Source) -> None:
        self._sliced = None if source.is_small() else Sliced(source, *_LISTS)
        self.document: Any = source.document() if self._sliced is None else self._sliced.document

    def entries(self, name: str) -> Iterable[Any]:
        """Return the entries of a list of the outermost object."""
        if self._sliced is not None:
            return self._sliced.entries(name)
        found = self.document.get(name)
        return found if isinstance(found, list) else ()


def _section(document: dict[str, Any]) -> Section:
    metadata = document.get("metadata")
    tools = metadata.get("tools") if isinstance(metadata, dict) else None
    if isinstance(tools, dict):  # since 1.5
        tools = [one for name in ("components", "services") for one in objects(tools.get(name))]
    named = [one for one in objects(tools)[:_MOST_TOOLS] if isinstance(one.get("name"), str)]
    known = [one for one in named if tool_name(one["name"]) in _SCANNERS]
    if not named:
        return Section("cyclonedx")
    tool = (known or named)[0]
    name, version = tool_name(tool["name"]), tool.get("version")
    return Section("cyclonedx" if name == NO_NAME else name, version[:100] if isinstance(version, str) else "")


def _packages(bill: _Bill) -> dict[str, ReportedPackage]:
    """Return the components that vulnerabilities point to, by what they are pointed to with."""
    wanted = {
        reference
        for vulnerability in bill.entries("vulnerabilities")
        if isinstance(vulnerability, dict)
        for one in _affected(vulnerability)[:MOST_AFFECTED]
        if (reference := _reference(one))
    }
    found: dict[str, ReportedPackage] = {}
    metadata = bill.document.get("metadata")
    top = [metadata.get("component")] if isinstance(metadata, dict) else []
    for entries in (top, bill.entries("components"), bill.entries("services")):
        for entry in entries:
            stack = [entry]
            while stack:
                component = stack.pop()
                if not isinstance(component, dict):
                    continue
                for name in ("components", "services"):
                    nested = component.get(name)
                    stack += nested if isinstance(nested, list) else []
                for own in (component.get("bom-ref"), component.get("purl")):
                    if isinstance(own, str) and own in wanted:
                        found.setdefault(own, _package(component))
    return found


def _package(component: dict[str, Any]) -> ReportedPackage:
    group, name, version = (text(component.get(key), _LONGEST_REF) for key in ("group", "name", "version"))
    if found := package_of(component.get("purl")):
        return found
    return ReportedPackage(ecosystem="", name=f"{group}/{name}" if group else name, version=version)


def _named(affected: dict[str, Any], packages: dict[str, ReportedPackage]) -> ReportedPackage | None:
    """Return what is affected; a VEX may name what only another file describes: by its purl, or by a name of that file's own."""
    reference = _reference(affected)
    return packages.get(reference) or package_of(reference) or (ReportedPackage("", reference) if reference else None)


def _reference(affected: dict[str, Any]) -> str:
    """Return the reference of a component; in `urn:cdx:serial/1#ref` it stands behind the file's own name."""
    reference = affected.get("ref")
    if not isinstance(reference, str):
        return ""
    if reference.startswith("urn:cdx:"):
        reference = unquote(reference.partition("#")[2])
    return reference[:_LONGEST_REF]


def _affected(vulnerability: dict[str, Any]) -> list[dict[str, Any]]:
    found = vulnerability.get("affects")
    return [one for one in found[: MOST_AFFECTED + 1] if isinstance(one, dict)] if isinstance(found, list) else []
