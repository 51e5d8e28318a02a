"""Gitleaks' own JSON (`gitleaks git|dir --report-format json`), of version 8: https://github.com/gitleaks/gitleaks."""

from __future__ import annotations

from collections.abc import Iterator

from integrations.contract.payloads import text, whole
from integrations.contract.reports import ReportedFinding, ReportedLocation
from scans.formats import reading
from scans.formats.base import Format, Head, Item, Section
from scans.formats.reading import Object
from scans.formats.source import Source

_KEPT = ("RuleID", "Description", "StartLine", "EndLine", "StartColumn", "EndColumn", "File", "SymlinkFile", "Commit", "Entropy",
         "Date", "Tags", "Fingerprint", "Link")  # fmt: skip
"""What is stored of an entry: never Secret, Match and Line, nor the commit's message, which may hold it too, nor people's addresses."""


class Gitleaks(Format):
    """Reports of Gitleaks: a list of secrets. One without any is an empty list, which nothing tells from others' empty lists."""

    key = "gitleaks"
    title = "Gitleaks JSON"

    @classmethod
    def recognises(cls, head: Head) -> bool:
        """Gitleaks lists objects with a rule, a file and the secret."""
        return head.is_list and all(name in head.object for name in ("RuleID", "File", "StartLine", "Description"))

    def read(self, source: Source) -> Iterator[Item]:
        """Yield secrets, without them."""
        reading.expect(Gitleaks, source, empty_list=True)
        yield Section("gitleaks")
        yield from reading.usable("", reading.Report(source, "item").each("item"), _finding)


def _finding(entry: Object) -> ReportedFinding:
    rule, path = reading.need(entry, "RuleID"), reading.path(entry.get("File"))
    if not path:
        raise reading.Unusable("It has no File.")
    description = reading.prose(entry.get("Description"))
    fingerprint = text(entry.get("Fingerprint"), 2000)
    return ReportedFinding(
        source_id=fingerprint or rule,
        title=text(description) or rule,
        severity="",
        kind="secret",
        rule=rule,
        description=description,
        locations=(ReportedLocation(path, whole(entry.get("StartLine"), 1), whole(entry.get("EndLine"), 1)),),
        fingerprints={"secret": _shape(entry)},
        url=text(entry.get("Link"), 2000),
        raw={name: entry[name] for name in _KEPT if name in entry},
    )


def _shape(entry: Object) -> str:
    """Return what tells a secret from others of its rule and file, without saying what it is.

    Gitleaks' own fingerprint is made of the commit and the line, which change when nothing happened to the secret.
    """
    entropy = entry.get("Entropy")
    number = f"{entropy:.4f}" if isinstance(entropy, int | float) else "unknown"
    lines, columns = (_span(entry, f"Start{unit}", f"End{unit}") for unit in ("Line", "Column"))
    return f"entropy {number}, {lines} lines, {columns} columns"


def _span(entry: Object, start: str, end: str) -> int:
    return (whole(entry.get(end)) or 0) - (whole(entry.get(start)) or 0)
