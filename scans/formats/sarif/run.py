"""One run of a tool: what it says about itself, then its results as findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from core import redact
from integrations.contract.payloads import moment
from integrations.contract.reports import ReportedFinding
from integrations.contract.tools import NO_NAME, tool_name
from scans.formats.base import Item, Problem, Section
from scans.formats.sarif import packages
from scans.formats.sarif.hiding import hidden
from scans.formats.sarif.marks import fingerprints, is_suppressed
from scans.formats.sarif.places import Places
from scans.formats.sarif.rules import LONGEST_WORD, Rule, Rules, score, taxa
from scans.formats.sarif.texts import LINE, first_line, listed, message, objects, part, weaknesses, web_address, written

_MOST_INVOCATIONS = 100
_MOST_TAXA = 50
_MOST_LOGICAL = 10
_LONGEST_CATEGORY = 500
_WORDS = frozenset({"critical", "high", "medium", "moderate", "low", "info", "informational", "negligible"})


class Run:
    """One of the report's runs; its results may come apart from it."""

    def __init__(self, number: int, run: dict[str, Any]) -> None:
        driver = part(part(run, "tool"), "driver")
        self.where = f"runs[{number}]"
        self._run = run
        self.tool = tool_name(name) if isinstance(name := driver.get("name"), str) else NO_NAME
        version = next((v for key in ("semanticVersion", "version") if isinstance(v := driver.get(key), str) and v), "")
        self.section = Section(self.tool, version[:100], _category(run))
        self._strings = driver.get("globalMessageStrings")
        self._rules = Rules(self.tool, run)
        self._places = Places(run)

    def items(self, results: Iterable[Any]) -> Iterator[Item]:
        """Yield the section, what is wrong with the run, and the findings."""
        yield self.section
        yield from self._problems()
        for number, result in enumerate(results):
            if isinstance(result, dict):
                found = self._finding(result)
                if found is None:
                    continue
                if found.rule or found.title or found.locations:
                    yield found
                else:
                    yield Problem(f"{self.where}.results[{number}]", "The result has no rule, no message and no place.")
            else:
                yield Problem(f"{self.where}.results[{number}]", "The result is no object.")

    def _problems(self) -> Iterator[Problem]:
        results = self._run.get("results")
        if not isinstance(results, list):
            said = "is missing" if "results" not in self._run else "is null" if results is None else "is no list"
            yield Problem(f"{self.where}.results", f"The list of results {said}; one that found nothing has an empty list.")
        if "results" in part(self._run, "externalPropertyFileReferences"):
            yield Problem(f"{self.where}.results", "The results are in another file, which is not read; write them into the report.")
        for number, invocation in enumerate(objects(self._run.get("invocations"), _MOST_INVOCATIONS)):
            if invocation.get("executionSuccessful") is False:
                yield Problem(f"{self.where}.invocations[{number}]", _failure(invocation))

    def _finding(self, result: dict[str, Any]) -> ReportedFinding | None:
        kind = result.get("kind")
        if (kind is not None and kind != "fail") or result.get("baselineState") == "absent":
            return None
        rule = self._rules.of(result)
        properties = result.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        text = message(result.get("message"), rule.descriptor.get("messageStrings"), self._strings)
        if rule.hidden:
            text = redact.text(text)
        locations = self._places.locations(result, hidden=rule.hidden)
        about_package = rule.dependency or (bool(properties) and packages.has_purl(properties))
        marks = fingerprints(result)
        if not locations:
            marks |= _logical(result)
        severity, origin = _severity(result, properties, rule)
        return ReportedFinding(
            source_id=_text(result, "correlationGuid") or rule.id,
            title=rule.title or first_line(text) or rule.id,
            severity=severity,
            kind=rule.kind or ("dependency" if about_package else ""),
            rule=rule.id,
            description=text or rule.description,
            severity_origin=origin,
            cvss=_vectors(part(rule.descriptor, "properties"), properties) if about_package else (),
            cwe=_cwe(result, properties, rule),
            identifiers=rule.identifiers,
            package=packages.package(self.tool, rule, result, text, locations) if about_package else None,
            locations=locations,
            fingerprints=marks,
            state="suppressed" if is_suppressed(result) else "open",
            url=web_address(result.get("hostedViewerUri")) or rule.url,
            created_at=_first_seen(result),
            raw=hidden(result) if rule.hidden else result,
        )


def _severity(result: dict[str, Any], properties: dict[str, Any], rule: Rule) -> tuple[str, str]:
    """Return word and origin: the exacter one first, and a result's own before its rule's."""
    if properties:
        if own := score(properties.get("security-severity")):
            return own, "security-severity"
        if not rule.score:
            # dependency-check: the level is always error
            if own := score(properties.get("cvssv3_baseScore")):
                return own, "cvssv3_baseScore"
            word = properties.get("severity")
            if isinstance(word, str) and word.lower() in _WORDS:
                return word, "severity"
    if rule.score:
        return rule.score, "security-severity"
    level = result.get("level")
    if isinstance(level, str) and level:
        return level[:LONGEST_WORD], "level"
    return (rule.level, "defaultConfiguration.level") if rule.level else ("warning", "level")


def _cwe(result: dict[str, Any], properties: dict[str, Any], rule: Rule) -> tuple[str, ...]:
    found: list[str] = []
    if properties:
        if "cwe" in properties:
            found += weaknesses(listed(properties["cwe"], _MOST_TAXA), bare=True)
        if "tags" in properties:
            found += weaknesses(listed(properties["tags"], _MOST_TAXA))
    if result.get("taxa"):
        references = objects(result["taxa"], _MOST_TAXA)
        found += weaknesses([one.get("id") for one in references]) + taxa(references)
    return tuple(dict.fromkeys([*found, *rule.cwe])) if found else rule.cwe


def _vectors(*properties: dict[str, Any]) -> tuple[str, ...]:
    """Return CVSS vectors, which scanners write into properties with names of their own."""
    values = [value for one in properties for name, value in list(one.items())[:_MOST_TAXA] if "cvss" in name.lower()]
    return tuple(dict.fromkeys(value for value in values if isinstance(value, str) and value.startswith("CVSS:") and len(value) <= LINE))


def _logical(result: dict[str, Any]) -> dict[str, str]:
    """Return what a result without a file is about, such as a class or a resource."""
    for location in objects(result.get("locations"), _MOST_LOGICAL):
        for logical in objects(location.get("logicalLocations"), _MOST_LOGICAL):
            for name in ("fullyQualifiedName", "name"):
                if isinstance(found := logical.get(name), str) and found:
                    return {"logicalLocation": found[:LINE]}
    return {}


def _first_seen(result: dict[str, Any]) -> datetime | None:
    provenance = result.get("provenance")
    return moment(provenance.get("firstDetectionTimeUtc")) if isinstance(provenance, dict) else None


def _text(result: dict[str, Any], name: str) -> str:
    found = result.get(name)
    return found[:2000] if isinstance(found, str) else ""


def _category(run: dict[str, Any]) -> str:
    """Return what stands before the last slash of the run's id, as GitHub has it; the name of a container image without one."""
    details = part(run, "automationDetails")
    written_id = details.get("id")
    if isinstance(written_id, str) and "/" in written_id:
        return written_id.rpartition("/")[0][:_LONGEST_CATEGORY]
    image = part(run, "properties").get("imageName")
    if isinstance(image, str) and image:
        folder, slash, last = image.partition("@")[0].rpartition("/")
        return f"image:{folder}{slash}{last.partition(':')[0]}"[:_LONGEST_CATEGORY]
    return ""


def _failure(invocation: dict[str, Any]) -> str:
    said = invocation.get("exitCodeDescription")
    texts = [said if isinstance(said, str) else ""]
    for name in ("toolExecutionNotifications", "toolConfigurationNotifications"):
        for notice in objects(invocation.get(name), _MOST_INVOCATIONS):
            if notice.get("level") == "error":
                texts.append(written(notice.get("message")))
    reason = redact.text(next((first_line(text) for text in texts if text), ""))
    return f"The tool says that it did not run to its end{': ' + reason.rstrip('.') if reason else ''}."
