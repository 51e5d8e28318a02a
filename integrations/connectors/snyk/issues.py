"""Issues as Snyk's REST API lists them, as findings: https://docs.snyk.io/snyk-api/reference/issues.

Whatever a field holds, nothing here raises but InvalidInput, for an issue without the needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from core.errors import InvalidInput
from integrations.connectors.snyk.targets import Project
from integrations.contract.payloads import at, moment, objects, text, whole
from integrations.contract.reports import ReportedFinding, ReportedLocation, ReportedPackage

_LONGEST, _MOST_PLACES = 20_000, 20
_CVE = re.compile(r"CVE-\d{4}-\d{4,19}", re.IGNORECASE)
_GHSA = re.compile(r"GHSA(-[0-9a-z]{4}){3}", re.IGNORECASE)
_SNYK = re.compile(
    r"SNYK-[A-Z0-9]+-[A-Z0-9_.:-]+|(?:npm|pip|rubygems|maven|composer|nuget|golang):[^\s:]+(?::[^\s:]+)*:\d{8}(?:-\d+)?", re.IGNORECASE
)
_CWE = re.compile(r"CWE-\d{1,6}", re.IGNORECASE)
_FAMILY = re.compile(r"SNYK-([A-Z]+)[0-9]*-|(?:snyk:lic:)?([a-z]+):", re.IGNORECASE)
"""What it is about in a name of today, or in one of before 2018 and of a licence, which have the ecosystem's own word."""
_FIXED = re.compile(r"[0-9][\w.+~:-]{0,99}")
_ECOSYSTEMS = {
    "js": "npm", "python": "pip", "java": "maven", "ruby": "rubygems", "php": "composer", "golang": "golang", "dotnet": "nuget",
    "rust": "cargo", "cocoapods": "cocoapods", "swift": "swift", "hex": "hex", "dart": "pub", "pub": "pub", "unmanaged": "unmanaged",
}  # fmt: skip
_SYSTEMS = frozenset(
    {"debian", "ubuntu", "alpine", "rhel", "centos", "rocky", "almalinux", "amzn", "oracle", "sles", "wolfi", "chainguard", "minimos"}
)
_KINDS = {"package_vulnerability": "dependency"}
_PREFERRED = ("snyk", "nvd")
_KEPT = ("key", "key_asset", "type", "status", "ignored", "effective_severity_level", "risk", "exploit_details", "resolution", "tool",
         "problems", "classes", "severities", "created_at", "updated_at")  # fmt: skip
_COORDINATES_KEPT = ("state", "reachability", "is_fixable_snyk", "is_fixable_manually", "is_fixable_upstream", "is_patchable",
                     "is_pinnable", "is_upgradeable", "remedies", "representations", "last_introduced_at", "last_resolved_at")  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What of an issue does not stand in it."""

    project: Project
    page: str = ""
    """Address of the project at Snyk, for people; "" where it is not known."""
    reasons: tuple[Mapping[str, Any], ...] = ()
    """Why it is ignored."""


@dataclass(frozen=True)
class _Found:
    """A package that an issue is about; `gone` where its coordinates are resolved and others are not."""

    package: ReportedPackage
    gone: bool


def key_of(issue: Any) -> str:
    """Return the key of an issue, "" where it has none."""
    return text(at(issue, "attributes", "key"), 1000)


def is_ignored(issue: Any) -> bool:
    """Say whether somebody, a policy or a file had Snyk leave it out."""
    return at(issue, "attributes", "ignored") is True


def reported(issue: Any, seen: Seen) -> list[ReportedFinding]:
    """Return the findings of an issue, one for each version of a package; what is resolved has the state `fixed`."""
    said, key = at(issue, "attributes"), key_of(issue)
    if not isinstance(said, Mapping) or not key:
        raise InvalidInput("The issue has no key.", code="bad_issue")
    kind = text(said.get("type"))
    names = _names(said, key)
    vulnerability = names if kind == "package_vulnerability" else ()
    coordinates = objects(said.get("coordinates"))
    rule = _rule(said, key, kind, names)
    shared: dict[str, Any] = {
        "source_id": text(at(issue, "id"), 100) or key,
        "title": text(said.get("title"), 1000) or rule,
        "severity": text(said.get("effective_severity_level")),
        "severity_origin": "effective_severity_level" if said.get("effective_severity_level") else "",
        "kind": _KINDS.get(kind, kind),
        "rule": rule,
        "description": _prose(said.get("description")),
        "cvss": _vectors(said),
        "cwe": _weaknesses(said),
        "identifiers": vulnerability,
        "url": f"{seen.page}#issue-{quote(key, safe='')}" if seen.page else "",
        "created_at": moment(said.get("created_at")),
        "updated_at": moment(said.get("updated_at")),
        "raw": _raw(issue, said, coordinates, seen),
    }
    state = "fixed" if text(said.get("status")) == "resolved" else "suppressed" if is_ignored(issue) else "open"
    if kind in {"package_vulnerability", "license"} and (packages := _packages(rule, coordinates, seen.project)):
        return [ReportedFinding(**shared, package=one.package, state="fixed" if one.gone else state) for one in packages]
    return [ReportedFinding(**shared, **_placed(said, key, coordinates, seen.project), state=state)]


def _names(said: Mapping[str, Any], key: str) -> tuple[tuple[str, str], ...]:
    """Return the names of the vulnerability, told by how they look: their sources are written in several ways."""
    ids = [text(one.get("id")) for one in objects(said.get("problems"))] + [key]
    kinds = (("CVE", _CVE), ("GHSA", _GHSA), ("SNYK", _SNYK))
    return tuple(dict.fromkeys((kind, id) for id in ids for kind, pattern in kinds if pattern.fullmatch(id)))


def _rule(said: Mapping[str, Any], key: str, kind: str, names: tuple[tuple[str, str], ...]) -> str:
    """Return what an issue is an instance of. Code issues name no rule, but their key in its place: there it is the weakness."""
    if kind == "code":
        return min(_weaknesses(said), key=lambda name: int(name[4:]), default="snyk-code")
    own = next((value for name, value in names if name == "SNYK"), "")
    problems = [text(one.get("id"), 300) for one in objects(said.get("problems"))]
    return own or next((id for id in problems if id and not _CVE.fullmatch(id) and not _GHSA.fullmatch(id) and id != key), "") or key


def _packages(rule: str, coordinates: list[dict[str, Any]], project: Project) -> list[_Found]:
    """Return each version of each package once; one that is resolved in one place and open in another is open."""
    found: dict[tuple[str, str], _Found] = {}
    stays = any(text(one.get("state")) != "resolved" for one in coordinates)
    for one in coordinates:
        gone = stays and text(one.get("state")) == "resolved"
        for name, version in _dependencies(one):
            known = found.get((name, version))
            if known is not None and not known.gone:
                continue
            package = ReportedPackage(
                ecosystem=_ecosystem(rule, project),
                name=name,
                version=version,
                fixed_version=_fixed(one, name),
                manifest=project.manifest,
            )
            found[name, version] = _Found(package, gone)
    return list(found.values())


def _dependencies(coordinate: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for one in objects(coordinate.get("representations")):
        if name := text(at(one, "dependency", "package_name"), 500):
            yield name, text(at(one, "dependency", "package_version"))


def _ecosystem(rule: str, project: Project) -> str:
    """Return the ecosystem that the vulnerability's name tells: an image has packages of several."""
    match = _FAMILY.match(rule)
    family, word = ((match[1] or "").lower(), (match[2] or "").lower()) if match else ("", "")
    if family in _SYSTEMS:
        return family
    return _ECOSYSTEMS.get(family) or word or project.type or family


def _fixed(coordinate: Mapping[str, Any], name: str) -> str:
    """Return the version that mends it, where a remedy tells: as a version, or as this package with its version."""
    for one in objects(coordinate.get("remedies")):
        said = at(one, "meta", "data", "fixed_in")
        for word in said if isinstance(said, list) else [said]:
            package, _, version = text(word).rpartition("@")
            if package in ("", name) and _FIXED.fullmatch(version):
                return version
    return ""


def _placed(said: Mapping[str, Any], key: str, coordinates: list[dict[str, Any]], project: Project) -> dict[str, Any]:
    """Return where an issue is, and what Snyk knows it again by: the asset's key is the same on all branches."""
    parts = [one for coordinate in coordinates for one in objects(coordinate.get("representations"))][:_MOST_PLACES]
    places = [place for one in parts if (place := _location(at(one, "sourceLocation")))]
    if not places and project.manifest and project.type != "sast":
        places = [ReportedLocation(project.manifest)]
    return {"locations": tuple(places), "fingerprints": {"identity": text(said.get("key_asset"), 500) or key}}


def _location(place: Any) -> ReportedLocation | None:
    path = text(at(place, "file"), 1000).lstrip("/")
    first, last = whole(at(place, "region", "start", "line"), 1), whole(at(place, "region", "end", "line"), 1)
    return ReportedLocation(path, first, last if first else None) if path else None


def _vectors(said: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the vectors of one source: Snyk's own, which its severity is from, else NVD's, else all. The others are kept in raw."""
    rated = [(text(one.get("source")).lower(), text(one.get("vector"))) for one in objects(said.get("severities"))]
    rated = [(source, vector) for source, vector in rated if vector]
    for wanted in _PREFERRED:
        if chosen := [vector for source, vector in rated if source == wanted]:
            return tuple(dict.fromkeys(chosen))
    return tuple(dict.fromkeys(vector for _, vector in rated))


def _weaknesses(said: Mapping[str, Any]) -> tuple[str, ...]:
    ids = [text(one.get("id")).upper() for one in objects(said.get("classes"))]
    return tuple(dict.fromkeys(id for id in ids if _CWE.fullmatch(id)))


def _raw(issue: Any, said: Mapping[str, Any], coordinates: list[dict[str, Any]], seen: Seen) -> dict[str, Any]:
    """Return what is kept, what is long at the end; flows of data through the code are left out."""
    project = seen.project
    return {
        "id": at(issue, "id"),
        **({"ignore": [dict(one) for one in seen.reasons]} if seen.reasons else {}),
        "project": {"id": project.id, "name": project.name, "type": project.type, "target_file": project.manifest},
        **{name: said[name] for name in _KEPT if name in said},
        "coordinates": [{name: one[name] for name in _COORDINATES_KEPT if name in one} for one in coordinates[:_MOST_PLACES]],
    }


def _prose(value: Any) -> str:
    return value.strip()[:_LONGEST] if isinstance(value, str) else ""
