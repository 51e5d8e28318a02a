"""Semgrep's own JSON (`semgrep scan --json`): https://semgrep.dev/docs/semgrep-appsec-platform/json-and-sarif."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from core import redact
from integrations.contract.payloads import at, objects, text, whole
from integrations.contract.reports import ReportedFinding, ReportedLocation, ReportedPackage
from scans.formats import reading
from scans.formats.base import Format, Head, Item, Problem, Section
from scans.formats.reading import Object, inner
from scans.formats.source import Source

_KEPT = ("check_id", "path", "start", "end")
_KEPT_EXTRA = ("metadata", "severity", "is_ignored", "fingerprint", "engine_kind", "validation_state", "sca_info")
_LOGGED_OUT = "requires login"
"""What stands for a value that Semgrep shows to those only who have signed in."""
_FINGERPRINT = "matchBasedId/v1"
"""What Semgrep calls it in SARIF."""
_CREDENTIALS = re.compile(r"CWE-(?:256|259|312|321|522|540|798)(?!\d)")
"""Weaknesses whose findings quote a password or key."""
_MOST_METAVARS = 50
_SHORTEST_SECRET = 4


class Semgrep(Format):
    """Reports of Semgrep."""

    key = "semgrep"
    title = "Semgrep JSON"

    @classmethod
    def recognises(cls, head: Head) -> bool:
        """Semgrep has results and errors, and either names what it scanned or has results of its own shape."""
        found = head.document
        if not isinstance(found, dict) or not isinstance(found.get("results"), list) or "metrics" in found:
            return False
        first = next(iter(objects(found["results"])), None)
        if first is None:
            return isinstance(found.get("errors"), list) and ("paths" in found or "version" in found)
        return "check_id" in first and isinstance(first.get("extra"), dict)

    def read(self, source: Source) -> Iterator[Item]:
        """Yield results; an error of Semgrep's is a problem."""
        reading.expect(Semgrep, source)
        report = reading.Report(source, "results.item")
        yield Section("semgrep", text(report.one("version")))
        yield from reading.listed(report, "results", _finding, required=True)
        for place, error in enumerate(report.each("errors.item")):
            if _leaves_out(error):
                yield Problem(f"errors[{place}]", _sentence(error))


def _finding(entry: Object) -> ReportedFinding:
    extra = inner(entry, "extra")
    metadata = inner(extra, "metadata")
    rule, path = reading.need(entry, "check_id"), reading.path(entry.get("path"))
    if not path:
        raise reading.Unusable("It has no path.")
    secret = _is_secret(rule, extra)
    cwe = tuple(reading.texts(metadata.get("cwe")))
    quotes_secret = secret or any(_CREDENTIALS.match(one) for one in cwe)
    message = _message(extra, quotes_secret)
    lines = extra.get("lines") if extra.get("lines") != _LOGGED_OUT else ""
    snippet = reading.masked(lines) if quotes_secret else reading.prose(lines)
    fingerprint = text(extra.get("fingerprint"))
    location = ReportedLocation(path, whole(at(entry, "start", "line"), 1), whole(at(entry, "end", "line"), 1), snippet)
    package = _package(inner(extra, "sca_info"), metadata, path)
    return ReportedFinding(
        source_id=rule,
        title=text(metadata.get("shortDescription")) or text(message) or rule,
        severity=reading.word(extra.get("severity")),
        severity_origin="severity",
        kind="secret" if secret else "",
        rule=rule,
        description=message,
        cwe=cwe,
        identifiers=reading.names(metadata.get("sca-vuln-database-identifier")) if package else (),
        package=package,
        locations=() if package else (location,),
        fingerprints={_FINGERPRINT: fingerprint} if fingerprint and fingerprint != _LOGGED_OUT else {},
        state="suppressed" if extra.get("is_ignored") is True else "open",
        url=text(metadata.get("source"), 2000) or text(metadata.get("shortlink"), 2000),
        raw=_raw(entry, extra, message),
    )


def _raw(entry: Object, extra: Object, message: str) -> dict[str, Any]:
    """Leave out what quotes the code: lines, metavars, the fix and the trace."""
    kept = {name: extra[name] for name in _KEPT_EXTRA if name in extra}
    return {**{name: entry[name] for name in _KEPT if name in entry}, "message": message, "extra": kept}


def _is_secret(rule: str, extra: Object) -> bool:
    if "secrets" in re.split(r"[.-]", rule.lower()):
        return True
    return inner(extra, "metadata").get("category") == "secrets" or text(extra.get("validation_state")).startswith("CONFIRMED")


def _message(extra: Object, quotes_secret: bool) -> str:
    """Return the message, without what a rule for secrets may quote in it."""
    message = reading.prose(extra.get("message"))
    if not quotes_secret:
        return message
    metavars = inner(extra, "metavars")
    if len(metavars) > _MOST_METAVARS:
        return ""
    for bound in metavars.values():
        quoted = bound.get("abstract_content") if isinstance(bound, dict) else None
        bare = quoted.strip("\"' ") if isinstance(quoted, str) else ""
        if len(bare) >= _SHORTEST_SECRET:
            message = message.replace(bare, redact.MASK)
    return message


def _package(sca: Object, metadata: Object, manifest: str) -> ReportedPackage | None:
    """Return the dependency that a rule of the supply chain is about."""
    match = inner(sca, "dependency_match")
    found, pattern = inner(match, "found_dependency"), inner(match, "dependency_pattern")
    name = text(found.get("package")) or text(pattern.get("package"))
    if not name:
        return None
    return ReportedPackage(
        ecosystem=text(found.get("ecosystem")) or text(pattern.get("ecosystem")),
        name=name,
        version=text(found.get("version")),
        vulnerable_range=text(pattern.get("semver_range")),
        manifest=reading.path(match.get("lockfile")) or manifest,
    )


def _leaves_out(error: Any) -> bool:
    """Say whether a file or rule was left out as a whole. Not where lines of a file could not be parsed, as is usual for templates."""
    if not isinstance(error, dict):
        return True
    return error.get("level") != "info" and _type(error) != "PartialParsing"


def _type(error: Object) -> str:
    kind = error.get("type")
    return text(kind[0] if isinstance(kind, list) and kind else kind)


def _sentence(error: Any) -> str:
    if not isinstance(error, dict):
        return "Semgrep reports an error."
    where = reading.path(error.get("path")) or text(error.get("rule_id"))
    what = reading.said(error.get("message")) or reading.said(error.get("long_msg"))
    return f"Semgrep: {_type(error) or 'error'}{f' in {where}' if where else ''}. {what}".strip()
