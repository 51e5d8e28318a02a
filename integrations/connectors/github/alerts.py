"""Alerts and advisories as GitHub's REST API answers them, as findings. https://docs.github.com/en/rest

What is fixed is left out, what somebody dismissed is suppressed, with the reason in `raw`. So is what a repository's own advisory says
about a version that was patched: it tells users to upgrade. An advisory that was withdrawn is left out, which closes what it opened.
The literal secret of a secret scanning alert is never kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from core import redact
from core.errors import InvalidInput
from integrations.connectors.github.reading import moment, number, part, text
from integrations.contract.reports import ReportedFinding, ReportedLocation, ReportedPackage
from integrations.contract.scans import Section
from integrations.contract.tools import NO_NAME, tool_name

Alert = Mapping[str, Any]
_MOST = 500
_LONGEST = 20_000
_MOST_SHARED = 100_000
_SINGLE = re.compile(r"[\w.+!~:-]{1,100}")
_CWE = re.compile(r"cwe[-/](\d{1,6})(?!\d)", re.IGNORECASE)
_GONE = frozenset({"fixed", "closed"})
_DISMISSED = frozenset({"dismissed", "auto_dismissed"})
_DEPENDABOT_KEPT = ("number", "state", "dependency", "security_vulnerability", "dismissed_at", "dismissed_reason", "dismissed_comment",
                    "auto_dismissed_at", "fixed_at")  # fmt: skip
_ADVISORY_KEPT = ("ghsa_id", "cve_id", "summary", "type", "severity", "state", "cvss", "cvss_severities", "epss", "cwes", "identifiers",
                  "references", "published_at", "updated_at", "withdrawn_at")  # fmt: skip
_CODE_KEPT = ("number", "state", "rule", "tool", "most_recent_instance", "dismissed_at", "dismissed_reason", "dismissed_comment",
              "fixed_at")  # fmt: skip
_SECRET_KEPT = ("number", "state", "resolution", "resolved_at", "secret_type", "secret_type_display_name", "validity", "publicly_leaked",
                "multi_repo", "push_protection_bypassed", "push_protection_bypassed_at", "first_location_detected")  # fmt: skip


class AlertKind(StrEnum):
    """Which of GitHub's lists an alert is from."""

    DEPENDABOT = "dependabot"
    CODE = "code"
    SECRET = "secret"  # noqa: S105  a word
    ADVISORY = "advisory"


_TOOLS = {
    AlertKind.DEPENDABOT: "dependabot",
    AlertKind.SECRET: "github-secret-scanning",
    AlertKind.ADVISORY: "github-advisories",
}


def section_of(alert: Alert, kind: AlertKind | None = None) -> Section:
    """Return whose alert it is: a product of GitHub's, or the tool and category that code scanning names, also of an analysis."""
    kind = kind or kind_of(alert) or AlertKind.CODE
    if kind is not AlertKind.CODE:
        return Section(_TOOLS[kind])
    tool = part(alert, "tool")
    category = text(part(alert, "most_recent_instance"), "category") or text(alert, "category")
    return Section(tool_name(text(tool, "name")) or NO_NAME, text(tool, "version")[:100], category[:_MOST])


def kind_of(alert: Any) -> AlertKind | None:
    """Say what kind of alert an object is by its names, None for anything else."""
    if not isinstance(alert, Mapping):
        return None
    if "security_advisory" in alert and "dependency" in alert:
        return AlertKind.DEPENDABOT
    if "most_recent_instance" in alert and "rule" in alert and "tool" in alert:
        return AlertKind.CODE
    if "secret_type" in alert and "number" in alert:
        return AlertKind.SECRET
    if "ghsa_id" in alert and "vulnerabilities" in alert:
        return AlertKind.ADVISORY
    return None


def reported(alert: Alert, ref: str = "") -> list[ReportedFinding]:
    """Return the findings of an alert, none where it is fixed; raises InvalidInput for what lacks the needed.

    `ref` is the one that was asked about, as refs/heads/main.
    """
    kind = kind_of(alert)
    if kind is AlertKind.ADVISORY:
        return advisory(alert)
    if kind is AlertKind.DEPENDABOT:
        found = dependabot(alert)
    elif kind is AlertKind.CODE:
        found = code_scanning(alert, ref)
    elif kind is AlertKind.SECRET:
        found = secret_scanning(alert)
    else:
        raise InvalidInput("It is no alert or advisory that GitHub's REST API answers.", code="unknown_alert")
    return [] if found is None else [found]


def dependabot(alert: Alert) -> ReportedFinding | None:
    """Return a Dependabot alert, None for one that is fixed."""
    state = _state(text(alert, "state"))
    if not state:
        return None
    about, vulnerability = part(alert, "security_advisory"), part(alert, "security_vulnerability")
    dependency = part(alert, "dependency")
    package = part(dependency, "package") or part(vulnerability, "package")
    names = _identifiers(about)
    if not text(package, "name") or not names:
        raise InvalidInput("The Dependabot alert has no package name, or no id of its advisory.", code="bad_alert")
    word = "security_vulnerability.severity" if text(vulnerability, "severity") else "security_advisory.severity"
    return ReportedFinding(
        source_id=str(number(alert, "number") or ""),
        title=text(about, "summary") or names[0][1],
        severity=text(vulnerability, "severity") or text(about, "severity"),
        severity_origin=word,
        rule=names[0][1],
        description=text(about, "description")[:_LONGEST],
        cvss=_vectors(about),
        cwe=_weaknesses(about),
        identifiers=names,
        package=_package(package, vulnerability, text(dependency, "manifest_path")),
        state=state,
        url=text(alert, "html_url"),
        created_at=moment(alert, "created_at"),
        updated_at=moment(alert, "updated_at"),
        raw=_kept(alert, _DEPENDABOT_KEPT) | {"security_advisory": _kept(about, _ADVISORY_KEPT)},
    )


def code_scanning(alert: Alert, ref: str = "") -> ReportedFinding | None:
    """Return a code scanning alert, None for one that is fixed, on `ref` where one was asked about."""
    rule, instance = part(alert, "rule"), part(alert, "most_recent_instance")
    word = text(alert, "state") or text(instance, "state")
    if ref and _same(text(instance, "ref"), ref) and word not in _DISMISSED:  # a dismissal holds everywhere, a fix where it was made
        word = text(instance, "state") or word
    state = _state(word)
    if not state:
        return None
    name = text(rule, "id") or text(rule, "name")
    if not name:
        raise InvalidInput("The code scanning alert has no id of its rule.", code="bad_alert")
    message = redact.text(text(part(instance, "message"), "text")[:_LONGEST])
    graded = text(rule, "security_severity_level")
    return ReportedFinding(
        source_id=str(number(alert, "number") or ""),
        title=text(rule, "description") or text(rule, "name") or name,
        severity=graded or text(rule, "severity"),
        severity_origin="rule.security_severity_level" if graded else "rule.severity",
        rule=name,
        description=message or text(rule, "full_description")[:_LONGEST],
        cwe=_numbers(tag for tag in _listed(rule, "tags") if isinstance(tag, str)),
        locations=_location(part(instance, "location")),
        fingerprints=_fingerprint(alert),
        state=state,
        url=text(alert, "html_url"),
        created_at=moment(alert, "created_at"),
        updated_at=moment(alert, "updated_at"),
        raw=_kept(alert, _CODE_KEPT)
        | {"rule": {name: value for name, value in rule.items() if name != "help"}}  # pages of text, the same in each alert of the rule
        | {"most_recent_instance": {**instance, "message": {"text": message}}},
    )


def secret_scanning(alert: Alert) -> ReportedFinding | None:
    """Return a secret scanning alert without the secret, None for one that was revoked."""
    resolved = text(alert, "state") == "resolved"
    if resolved and text(alert, "resolution") == "revoked":
        return None
    name = text(alert, "secret_type")
    if not name:
        raise InvalidInput("The secret scanning alert has no type of secret.", code="bad_alert")
    return ReportedFinding(
        source_id=str(number(alert, "number") or ""),
        title=text(alert, "secret_type_display_name") or name,
        severity="",
        kind="secret",
        rule=name,
        locations=_location(part(alert, "first_location_detected")),
        fingerprints=_fingerprint(alert),
        state="suppressed" if resolved else "open",
        url=text(alert, "html_url"),
        created_at=moment(alert, "created_at"),
        updated_at=moment(alert, "updated_at"),
        raw=_kept(alert, _SECRET_KEPT),
    )


def advisory(found: Alert) -> list[ReportedFinding]:
    """Return a global or a repository's own advisory: one finding for each package; none where it was withdrawn or closed."""
    if text(found, "withdrawn_at") or text(found, "state") == "closed":
        return []
    names = _identifiers(found)
    if not names:
        raise InvalidInput("The advisory has no id.", code="bad_alert")
    affected = [one for one in _listed(found, "vulnerabilities") if isinstance(one, Mapping)]
    shared: dict[str, Any] = {
        "source_id": names[0][1],
        "title": text(found, "summary") or names[0][1],
        "severity": text(found, "severity"),
        "severity_origin": "severity" if text(found, "severity") else "",
        "rule": names[0][1],
        "description": text(found, "description")[:_LONGEST],
        "cvss": _vectors(found),
        "cwe": _weaknesses(found),
        "identifiers": names,
        "url": text(found, "html_url"),
        "created_at": moment(found, "published_at") or moment(found, "created_at"),
        "updated_at": moment(found, "updated_at"),
    }
    packages = [(_package(part(one, "package"), one, ""), one) for one in affected if text(part(one, "package"), "name")]
    is_published = text(found, "state") == "published"
    if not packages:
        return [ReportedFinding(**shared, kind="dependency", raw=_kept(found, _ADVISORY_KEPT))]
    kept = _kept(found, _ADVISORY_KEPT)
    if len(packages) > 1 and len(repr(kept)) > _MOST_SHARED:  # it would be stored with each package
        kept = _kept(found, ("ghsa_id", "cve_id"))
    return [
        ReportedFinding(
            **shared,
            package=package,
            state="suppressed" if is_published and _is_patched(one) else "open",
            raw=kept | {"vulnerability": dict(one)},
        )
        for package, one in packages
    ]


def _same(ref: str, other: str) -> bool:
    """Say whether two refs are the same; of a branch GitHub writes the whole ref or the name alone."""
    return ref.removeprefix("refs/heads/") == other.removeprefix("refs/heads/")


def _state(word: str) -> str:
    """Return open or suppressed, "" for what is fixed; a word that is not known is taken for open."""
    return "" if word in _GONE else "suppressed" if word in _DISMISSED else "open"


def _is_patched(vulnerability: Alert) -> bool:
    return bool(text(vulnerability, "patched_versions") or vulnerability.get("first_patched_version"))


def _package(package: Alert, vulnerability: Alert, manifest: str) -> ReportedPackage:
    patched = vulnerability.get("first_patched_version")
    fixed = text(patched, "identifier") if isinstance(patched, Mapping) else text(vulnerability, "first_patched_version")
    fixed = fixed or text(vulnerability, "patched_versions")
    return ReportedPackage(
        ecosystem=text(package, "ecosystem"),
        name=text(package, "name"),
        fixed_version=fixed if _SINGLE.fullmatch(fixed) else "",
        vulnerable_range=text(vulnerability, "vulnerable_version_range"),
        manifest=manifest.lstrip("/"),
    )


def _identifiers(about: Alert) -> tuple[tuple[str, str], ...]:
    names = {"GHSA": [text(about, "ghsa_id")], "CVE": [text(about, "cve_id")]}
    for one in _listed(about, "identifiers"):
        if isinstance(one, Mapping) and text(one, "type"):
            names.setdefault(text(one, "type"), []).append(text(one, "value"))
    return tuple(dict.fromkeys((kind, value) for kind, values in names.items() for value in values if value))


def _vectors(about: Alert) -> tuple[str, ...]:
    rated = [part(about, "cvss_severities", "cvss_v4"), part(about, "cvss_severities", "cvss_v3"), part(about, "cvss")]
    return tuple(dict.fromkeys(vector for one in rated if (vector := text(one, "vector_string"))))


def _weaknesses(about: Alert) -> tuple[str, ...]:
    return _numbers(text(one, "cwe_id") for one in _listed(about, "cwes") if isinstance(one, Mapping))


def _numbers(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"CWE-{int(match[1])}" for word in words if (match := _CWE.search(word[:_MOST]))))


def _location(place: Alert) -> tuple[ReportedLocation, ...]:
    path = text(place, "path").lstrip("/")
    return (ReportedLocation(path, number(place, "start_line") or None, number(place, "end_line") or None),) if path else ()


def _fingerprint(alert: Alert) -> dict[str, str]:
    """GitHub follows what it found as code moves: an alert keeps its number."""
    found = number(alert, "number")
    return {} if found is None else {"github/alert": str(found)}


def _listed(value: Alert, name: str) -> list[Any]:
    found = value.get(name)
    return found[:_MOST] if isinstance(found, list) else []


def _kept(value: Alert, names: Iterable[str]) -> dict[str, Any]:
    return {name: value[name] for name in names if name in value}
