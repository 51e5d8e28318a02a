"""Rules of a run: found by all the ways in which results refer to them, and read once for all of their results."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from scans.formats.sarif.texts import LINE, first_line, listed, objects, part, weaknesses, web_address, written
from scans.formats.tools import CONFIG_TOOLS, SECRET_TOOLS

LONGEST_WORD = 30
VULNERABILITY = re.compile(
    r"(CVE-\d{4}-\d{4,19}|GHSA(?:-[0-9a-z]{4}){3}|SNYK-[A-Z0-9]{1,30}-[A-Z0-9_.:-]{1,200}|npm:[\w.@/-]{1,100}:\d{8}"
    r"|(?:PYSEC|GO|RUSTSEC|OSV|MAL)-\d{1,8}-[A-Za-z0-9:-]{1,40})",
    re.IGNORECASE,
)
DEPENDENCY_TOOLS = frozenset({"trivy", "grype", "snyk", "snyk-container", "dependency-check", "osv-scanner"})
_MOST_CACHED = 20_000
_MOST_TAGS = 50
_MOST_NAMES = 50
_MOST_EXTENSIONS = 1_000
_MOST_SUFFIXES = 5
_SECRET_WORDS = re.compile(r"hard[-_ ]?coded|secret|passw(?:or)?d|credential|api[-_ ]?key|private[-_ ]?key|token", re.IGNORECASE)
_SECRET_WEAKNESSES = frozenset({"CWE-259", "CWE-260", "CWE-321", "CWE-798"})
_KINDS = {"secret": "secret", "misconfiguration": "config", "license": "license"}
Descriptor = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a rule says about each of its results."""

    id: str
    title: str
    description: str
    level: str
    """The level of results that have none of their own; empty where the rule says nothing."""
    score: str
    """security-severity: a score, or a word."""
    cwe: tuple[str, ...]
    identifiers: tuple[tuple[str, str], ...]
    url: str
    kind: str
    hidden: bool
    """Its results may show a secret, so code is not kept."""
    dependency: bool
    """Its results are about packages."""
    descriptor: Descriptor


class Rules:
    """The rules of one run."""

    def __init__(self, tool: str, run: dict[str, Any]) -> None:
        component = part(run, "tool")
        self._tool = tool
        self._driver = part(component, "driver")
        extensions = component.get("extensions")
        self._extensions: list[Any] = extensions if isinstance(extensions, list) else []
        self._by_id: dict[str, Descriptor] = {}
        for one in (self._driver, *objects(self._extensions, _MOST_EXTENSIONS)):
            for descriptor in objects(one.get("rules"), _MOST_CACHED * 10):
                for name in (descriptor.get("id"), descriptor.get("guid")):
                    if isinstance(name, str) and name:
                        self._by_id.setdefault(name, descriptor)
        self._levels = self._overrides(run)
        self._cache: dict[Any, Rule] = {}

    def of(self, result: dict[str, Any]) -> Rule:
        """Return the rule of a result, one without words where it has none."""
        name, index, reference = result.get("ruleId"), result.get("ruleIndex"), result.get("rule")
        if type(name) is int:
            name = str(name)
        key: Any = (name if isinstance(name, str) else "", index if type(index) is int else None)
        if isinstance(reference, dict):
            key += _reference_key(reference)
        rule = self._cache.get(key)
        if rule is None:
            if len(self._cache) >= _MOST_CACHED:
                self._cache.clear()
            rule = self._cache[key] = self._read(*key)
        return rule

    def _read(self, name: str, index: int | None, *reference: Any) -> Rule:
        descriptor = self._find(name, index, *reference) or {}
        names = (name, reference[0] if reference else "", descriptor.get("id"), descriptor.get("name"))
        identity = next((one for one in names if isinstance(one, str) and one), "")
        return _rule(self._tool, identity[:LINE], descriptor, self._levels.get(str(descriptor.get("id")), ""))

    def _find(self, name: str, index: int | None, *reference: Any) -> Descriptor | None:
        wanted = name
        if reference:
            rule_id, guid, place, *component = reference
            wanted = name or rule_id
            found = _at(self._component(*component).get("rules"), place)
            if found and _is(found, wanted):
                return found
            if guid in self._by_id:
                return self._by_id[guid]
        found = _at(self._driver.get("rules"), index)
        if found and _is(found, wanted):
            return found
        for _ in range(_MOST_SUFFIXES):  # "CA1000/1" is a case of CA1000
            if wanted in self._by_id:
                return self._by_id[wanted]
            wanted = wanted.rpartition("/")[0]
        return None

    def _component(self, index: int | None, name: str, guid: str) -> dict[str, Any]:
        if index is not None and 0 <= index < len(self._extensions):
            found = self._extensions[index]
            return found if isinstance(found, dict) else {}
        if name or guid:
            for one in objects(self._extensions, _MOST_EXTENSIONS):
                if (guid and one.get("guid") == guid) or (name and one.get("name") == name):
                    return one
        return self._driver

    def _overrides(self, run: dict[str, Any]) -> dict[str, str]:
        """Return the levels that the tool was told to give its rules, by id."""
        levels = {}
        for invocation in objects(run.get("invocations"), 10):
            for override in objects(invocation.get("ruleConfigurationOverrides"), _MOST_CACHED):
                descriptor = part(override, "descriptor")
                index = descriptor.get("index")
                found = _at(self._driver.get("rules"), index if type(index) is int else None) or {}
                level = part(override, "configuration").get("level")
                if isinstance(level, str) and level:
                    levels[str(descriptor.get("id") or found.get("id"))] = level[:LONGEST_WORD]
        return levels


def _rule(tool: str, name: str, descriptor: Descriptor, override: str) -> Rule:
    properties = part(descriptor, "properties")
    tags = [tag for tag in listed(properties.get("tags"), _MOST_TAGS) if isinstance(tag, str)]
    related = [part(one, "target") for one in objects(descriptor.get("relationships"), _MOST_TAGS)]
    cwe = weaknesses(listed(properties.get("cwe"), _MOST_TAGS), bare=True) + weaknesses(tags)
    cwe += weaknesses((one.get("id") for one in related), bare=False) + taxa(related)
    identifiers = _identifiers(name, descriptor)
    level = part(descriptor, "defaultConfiguration").get("level")
    full, own = written(descriptor.get("fullDescription")), descriptor.get("name")
    kind = _kind(tool, name, own if isinstance(own, str) else "", tags)
    words = f"{name} {own}" if isinstance(own, str) else name
    return Rule(
        id=name,
        title=first_line(written(descriptor.get("shortDescription"))) or first_line(full) or (own[:LINE] if isinstance(own, str) else ""),
        description=full,
        level=override or (level[:LONGEST_WORD] if isinstance(level, str) else ""),
        score=score(properties.get("security-severity")),
        cwe=tuple(dict.fromkeys(cwe)),
        identifiers=identifiers,
        url=web_address(descriptor.get("helpUri")),
        kind=kind,
        hidden=kind == "secret" or not _SECRET_WEAKNESSES.isdisjoint(cwe) or _SECRET_WORDS.search(words) is not None,
        dependency=kind in {"", "container"} and (bool(identifiers) or tool in DEPENDENCY_TOOLS or "purls" in properties),
        descriptor=descriptor,
    )


def score(value: Any) -> str:
    """Return a security-severity, "" for what says none: nothing, 0, or a number that is no score."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = str(value).strip()[:LONGEST_WORD]
    try:
        return text if 0 < float(text) <= 10 else ""
    except ValueError:
        return text if text.lower() not in {"none", "null", "undefined", "n/a"} else ""


def taxa(references: list[dict[str, Any]]) -> list[str]:
    """Return the weaknesses among references to taxonomies: bare numbers count where the taxonomy is CWE."""
    numbers = [one.get("id") for one in references if str(part(one, "toolComponent").get("name")).strip().upper() == "CWE"]
    return weaknesses(numbers, bare=True)


def _identifiers(name: str, descriptor: Descriptor) -> tuple[tuple[str, str], ...]:
    """Return the names of the vulnerability that a rule stands for; osv-scanner writes its aliases as deprecated ids."""
    first = VULNERABILITY.match(name)
    if first is None:
        return ()
    names = [first[1]]
    for one in listed(descriptor.get("deprecatedIds"), _MOST_NAMES):
        if isinstance(one, str) and (match := VULNERABILITY.fullmatch(one)):
            names.append(match[1])
    return tuple(("SNYK" if one.startswith("npm:") else one.partition("-")[0].upper(), one) for one in dict.fromkeys(names))


def _kind(tool: str, name: str, own: str, tags: list[str]) -> str:
    lower = {tag.strip().lower() for tag in tags}
    if tool in SECRET_TOOLS or lower & {"secret", "secrets"} or name.startswith(("CKV_SECRET_", "generic.secrets.")):
        return "secret"
    if tool in CONFIG_TOOLS:
        return "config"
    return _KINDS.get(own.lower(), "container" if own == "OsPackageVulnerability" else "") if tool == "trivy" else ""


def _reference_key(reference: dict[str, Any]) -> tuple[Any, ...]:
    component = part(reference, "toolComponent")
    texts = [
        one if isinstance(one, str) else ""
        for one in (reference.get("id"), reference.get("guid"), component.get("name"), component.get("guid"))
    ]
    index, extension = reference.get("index"), component.get("index")
    return (texts[0], texts[1], index if type(index) is int else None, extension if type(extension) is int else None, texts[2], texts[3])


def _at(values: Any, index: int | None) -> Descriptor | None:
    found = values[index] if isinstance(values, list) and index is not None and 0 <= index < len(values) else None
    return found if isinstance(found, dict) else None


def _is(descriptor: Descriptor, name: str) -> bool:
    own = descriptor.get("id")
    return not name or not isinstance(own, str) or not own or name == own or name.startswith(own + "/")
