"""Turns what any source reports into the one form that findings are stored, compared and judged in.

It runs for each of a report's hundred thousand findings: what repeats within a report (rules, paths, severities, packages) is worked out
once and cached, always after it was bounded. Nothing here looks at anything but the finding, so the same report gives the same findings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from core.texts import storable
from integrations.contract.reports import ReportedFinding, ReportedLocation, ReportedPackage
from integrations.packages.versions import canonical_version
from scans.choices import Kind, Severity
from scans.normal import cwe
from scans.normal.finding import NormalFinding
from scans.normal.fingerprints import fingerprint, message_of
from scans.normal.identifiers import identifiers
from scans.normal.kept import Unmasked, raw_json, shortened, text
from scans.normal.kinds import kind_of
from scans.normal.packages import Package, package
from scans.normal.paths import canonical_path
from scans.normal.severity import Judged, judge

FORM = 2
"""Rises when the same report would become something else: then reports that are known are read again."""
MOST_TOOL = 60
MOST_RULE = 300
MOST_TITLE = 500
MOST_DESCRIPTION = 10_000
MOST_RANGE = 500
MOST_FIXED = 200
MOST_URL = 2_000
_MOST_LINE = 2**31 - 1
_NO_PACKAGE = Package()
_LEAKED = Judged(Severity.HIGH, "a secret, without a severity", None, "")
"""Gitleaks and GitHub's secret scanning judge nothing: without this a gate on what is high would let leaked credentials pass."""
_NO_REPORTED = ReportedPackage("", "")
_PACKAGED = (Kind.DEPENDENCY, Kind.LICENSE)
_SUPPRESSED = frozenset({"suppressed", "dismissed", "ignored", "auto_dismissed"})


_Raw = Callable[[Mapping[str, Any]], str | Unmasked]


def normalise(reported: ReportedFinding, tool: str, raw: _Raw = raw_json) -> NormalFinding:
    """Return the normal form of a finding of this tool. It never raises: a word that can't be understood is kept as it is.

    `raw` says how the scanner's words are kept: looked through for secrets, or to be looked through when they are stored.
    """
    shared = _shared(
        tool, reported.kind, reported.rule or reported.source_id, reported.title, reported.severity, reported.severity_origin,
        reported.cvss, reported.cwe, reported.identifiers, reported.package, reported.url, reported.state,
    )  # fmt: skip
    place = reported.locations[0] if reported.locations else None
    line = _number(place.line) if place else None
    end_line = _number(place.end_line) if place and line is not None else None
    return NormalFinding(
        *shared,
        description=text(reported.description, MOST_DESCRIPTION) if reported.description else "",
        path=canonical_path(place.path) if place else "",
        line=line,
        end_line=max(line, end_line) if line is not None and end_line is not None else None,
        fingerprint="" if shared.package and shared.kind in _PACKAGED else _fingerprint(reported, place),
        raw=raw(reported.raw),
    )


class _Shared(NamedTuple):
    """The fields of NormalFinding that follow from what findings of one rule, or of one vulnerability, have in common: in its order."""

    kind: Kind
    tool: str
    rule: str
    title: str
    severity: Severity
    severity_origin: str
    cvss_score: float | None
    cvss_vector: str
    cwe: tuple[int, ...]
    identifiers: tuple[tuple[str, str], ...]
    ecosystem: str
    package: str
    version: str
    fixed_version: str
    vulnerable_range: str
    purl: str
    manifest: str
    url: str
    suppressed: bool


@lru_cache(maxsize=1024)
def _shared(
    tool: str, kind_word: str, rule_word: str, title: str, severity: str, origin: str, cvss: tuple[str, ...], cwe_texts: tuple[str, ...],
    names: tuple[tuple[str, str], ...], told: ReportedPackage | None, url: str, state: str,
) -> _Shared:  # fmt: skip
    found = package(told.ecosystem, told.name, told.version, told.purl) if told else _NO_PACKAGE
    told = told or _NO_REPORTED
    about_package = bool(found.name)
    kind = kind_of(kind_word, tool, has_package=about_package)
    rule = _line(rule_word, MOST_RULE)
    judged = judge(severity, origin, cvss)
    if kind is Kind.SECRET and judged.severity is Severity.UNKNOWN and not severity:
        judged = _LEAKED
    return _Shared(
        kind=kind,
        tool=_line(tool, MOST_TOOL).lower(),
        rule=rule,
        title=text(" ".join(title[: 4 * MOST_TITLE].split()), MOST_TITLE) or rule,
        severity=judged.severity,
        severity_origin=judged.origin,
        cvss_score=judged.score,
        cvss_vector=judged.vector,
        cwe=cwe.numbers(_cwe_texts(cwe_texts, names)),
        identifiers=identifiers(_no_cwe(names), rule if about_package else "") if names or about_package else (),
        ecosystem=found.ecosystem,
        package=found.name,
        version=found.version,
        fixed_version=_fixed(found.ecosystem, told.fixed_version) if told.fixed_version else "",
        # cut off it ends in an ellipsis, which no range has: it can't be taken for a shorter one
        vulnerable_range=_line(told.vulnerable_range, MOST_RANGE) if told.vulnerable_range else "",
        purl=found.purl,
        manifest=canonical_path(told.manifest) if told.manifest else "",
        url=_url(url) if url else "",
        suppressed=state != "open" and state.strip().lower() in _SUPPRESSED,
    )


def _fingerprint(reported: ReportedFinding, place: ReportedLocation | None) -> str:
    if reported.fingerprints and (own := fingerprint(reported.fingerprints)):
        return own
    return fingerprint(
        {},
        place.snippet if place else "",
        message_of(reported.raw),
        place.line if place else None,
        place.end_line if place else None,
    )


def _cwe_texts(texts: tuple[str, ...], names: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Some sources list weaknesses among the names of the vulnerability."""
    return (*texts, *(value for _, value in names if _is_cwe(value)))


def _no_cwe(names: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return [name for name in names if not _is_cwe(name[1])]


def _is_cwe(value: str) -> bool:
    return value[:4].lower() == "cwe-"


def _fixed(ecosystem: str, version: str) -> str:
    """Return the version that mends it; several, or a sentence, stay as they are."""
    return canonical_version(ecosystem, version) or _line(version, MOST_FIXED)


def _number(line: int | None) -> int | None:
    return line if line is not None and 0 < line <= _MOST_LINE else None


def _line(value: str, most: int) -> str:
    """Return a name that is one line, cut off where it is too long."""
    return _one_line(value[: 2 * most], most) if value else ""


@lru_cache(maxsize=4096)
def _one_line(value: str, most: int) -> str:
    return shortened(storable(" ".join(value.split())), most)


def _url(address: str) -> str:
    """Return a link that a page may show; without one that runs something, and without user info and secrets in it."""
    clean = storable(address.strip())
    if len(clean) > MOST_URL or not clean.lower().startswith(("https://", "http://")) or any(letter.isspace() for letter in clean):
        return ""
    return text(clean, MOST_URL)
