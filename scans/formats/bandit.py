"""Bandit's own JSON (`bandit -f json`): https://bandit.readthedocs.io/en/latest/formatters/json.html."""

from __future__ import annotations

import re
from collections.abc import Iterator

from integrations.contract.payloads import at, objects, text, whole
from integrations.contract.reports import ReportedFinding, ReportedLocation
from scans.formats import reading
from scans.formats.base import Format, Head, Item, Problem, Section
from scans.formats.reading import Object
from scans.formats.source import Source

_PASSWORDS = frozenset({"B105", "B106", "B107"})
"""Tests for hard-coded passwords: their text and their code quote what they found."""
_QUOTED = re.compile(r":\s*['\"].*", re.DOTALL)


class Bandit(Format):
    """Reports of Bandit."""

    key = "bandit"
    title = "Bandit JSON"

    @classmethod
    def recognises(cls, head: Head) -> bool:
        """Bandit has errors, metrics with totals, and the time of the report; its results may be beyond the head."""
        found = head.document
        if not isinstance(found, dict) or not isinstance(found.get("errors"), list) or "generated_at" not in found:
            return False
        first = next(iter(objects(found.get("results"))), None)
        return isinstance(at(found, "metrics", "_totals"), dict) and (first is None or "test_id" in first)

    def read(self, source: Source) -> Iterator[Item]:
        """Yield results; a file that Bandit could not read is a problem."""
        reading.expect(Bandit, source)
        report = reading.Report(source, "results.item")
        yield Section("bandit")
        yield from reading.listed(report, "results", _finding, required=True)
        for place, error in enumerate(report.each("errors.item")):
            file, reason = reading.path(at(error, "filename")), reading.said(at(error, "reason"))
            yield Problem(f"errors[{place}]", f"Bandit left out {file or 'a file'}: {reason or 'it does not say why'}.")


def _finding(entry: Object) -> ReportedFinding:
    test, path = reading.need(entry, "test_id"), reading.path(entry.get("filename"))
    if not path:
        raise reading.Unusable("It has no filename.")
    password = test in _PASSWORDS
    message = reading.prose(entry.get("issue_text"))
    if password:
        message = _QUOTED.sub(".", message)
    line = whole(entry.get("line_number"), 1)
    lines = [number for one in _list(entry.get("line_range")) if (number := whole(one, 1))] or ([line] if line else [])
    snippet = reading.masked(entry.get("code")) if password else reading.prose(entry.get("code"))
    cwe = reading.word(at(entry, "issue_cwe", "id"))
    kept = {name: value for name, value in entry.items() if name not in {"code", "issue_text"}}
    return ReportedFinding(
        source_id=test,
        title=text(message) or text(entry.get("test_name")) or test,
        severity=text(entry.get("issue_severity")),
        severity_origin="issue_severity",
        rule=test,
        description=message,
        cwe=(cwe,) if cwe else (),
        locations=(ReportedLocation(path, line, max(lines, default=None), snippet),),
        url=text(entry.get("more_info"), 2000),
        raw={**kept, "issue_text": message},
    )


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
