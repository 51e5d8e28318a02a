"""The report as one page that needs nothing else: no script, no other host, and it prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from scans.reports import texts
from scans.reports.overview import COUNTED, Overview
from scans.reports.rows import Row, decided, rows
from scans.reports.summary import columns, facts, gate_about, gate_lines, more_sentence

MOST = 5000
MOST_DECIDED = 1000
_STYLE = mark_safe("""
:root{color-scheme:light}
body{font:14px/1.45 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:#1d2430;margin:0 auto;max-width:1200px;padding:24px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:17px;margin:28px 0 8px}p{margin:4px 0}.faint{color:#5b6575}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:12px 0}dt{color:#5b6575}dd{margin:0;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}th{text-align:left;background:#eef1f5;font-weight:600}
th,td{border:1px solid #d4d9e1;padding:5px 8px;vertical-align:top;overflow-wrap:anywhere;unicode-bidi:isolate}
td.n,th.n{text-align:right;width:12%}
.findings th:nth-child(1){width:74px}.findings th:nth-child(3){width:27%}.findings th:nth-child(4){width:13%}
.title{font-weight:600}.small{font-size:12px;color:#5b6575}.s{font-weight:600;white-space:nowrap}
.critical{color:#8f1020}.high{color:#b3341d}.medium{color:#8a5a00}.low{color:#205f9e}.info,.unknown{color:#5b6575}
.good{color:#176b37;font-weight:600}.bad{color:#b3261e;font-weight:600}a{color:#205f9e}
@media print{body{max-width:none;padding:0;font-size:10px}a{color:inherit;text-decoration:none}thead{display:table-header-group}
tr{break-inside:avoid}h2{break-after:avoid}@page{size:A4 landscape;margin:12mm}}
""")
# nothing of it may be fetched or run, should a title ever get out of its place
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def parts(over: Overview) -> Iterator[bytes]:
    """Yield the page in pieces."""
    for part in _page(over):
        yield part.encode()


def _page(over: Overview) -> Iterator[str]:
    yield format_html(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{}">'
        '<meta name="viewport" content="width=device-width"><title>{} on {}</title><style>{}</style></head><body>\n<h1>{}</h1>\n',
        _POLICY, texts.heading(over), texts.plain(over.scope.ref), _STYLE, texts.heading(over),
    )  # fmt: skip
    yield format_html("<dl>{}</dl>\n", format_html_join("", "<dt>{}</dt><dd>{}</dd>", facts(over)))
    yield from _gate(over)
    yield from _counts(over)
    yield from _findings(over)
    yield from _decided(over)
    yield "</body></html>\n"


def _gate(over: Overview) -> Iterator[str]:
    if over.gate is None:
        yield "<h2>Gate</h2><p>Nothing was decided about this ref yet.</p>\n"
        return
    tone = "good" if over.gate.decision == "passed" else "bad"
    yield format_html('<h2>Gate <span class="{}">{}</span></h2>\n', tone, over.gate.decision)
    yield format_html('<p class="faint">{}</p>', gate_about(over.gate))
    lines = (("good" if word == "kept" else "bad", word, sentence) for word, sentence in gate_lines(over.gate))
    yield format_html("<table>{}</table>\n", format_html_join("", '<tr><td class="{}">{}</td><td>{}</td></tr>', lines))


def _counts(over: Overview) -> Iterator[str]:
    head = format_html_join("", '<th class="n">{}</th>', ((label,) for label in columns(over).values()))
    yield format_html("<h2>By severity</h2>\n<table><thead><tr><th>Severity</th>{}</tr></thead><tbody>", head)
    for severity, numbers in (*over.counts.items(), ("all", over.sums())):
        cells = format_html_join("", '<td class="n">{}</td>', ((numbers[name],) for name in COUNTED))
        yield format_html('<tr><td class="s {0}">{0}</td>{1}</tr>', severity, cells)
    yield "</tbody></table>\n"


def _findings(over: Overview) -> Iterator[str]:
    yield format_html("<h2>{}</h2>\n", f"Findings ({over.total:,})")
    if not over.total:
        yield "<p>There are none.</p>\n"
        return
    head = "<thead><tr><th>Severity</th><th>Finding</th><th>Where</th><th>Age</th></tr></thead>"
    yield f'<table class="findings">{head}<tbody>\n'
    for row in rows(over.scope, over.clock, over.listed, MOST):
        yield _finding(row)
    yield "</tbody></table>\n"
    if over.total > MOST:
        yield format_html('<p class="bad">{}</p>\n', more_sentence(over, MOST))


def _finding(row: Row) -> SafeString:
    one = row.finding
    return format_html(
        '<tr><td class="s {0}">{0}</td><td><a class="title" href="{1}">{2}</a>{3}</td><td>{4}{5}</td><td>{6}{7}</td></tr>\n',
        one.severity, texts.link(one), texts.title(one),
        _small(" · ".join(texts.identifiers(one)), f"by {', '.join(one.sources)}" if one.sources else "", texts.triage(row)),
        texts.package(one) or texts.place(one), _small(texts.place(one) if one.package else ""),
        format_html('<span class="bad">{}</span>', texts.age(row)) if row.overdue else texts.age(row), _small(texts.threat(one)),
    )  # fmt: skip


def _small(*lines: str) -> SafeString:
    return format_html_join("", '<div class="small">{}</div>', ((line,) for line in lines if line))


def _decided(over: Overview) -> Iterator[str]:
    yield "<h2>Decisions in force</h2>\n"
    found = decided(over.scope, over.clock, over.listed, MOST_DECIDED + 1)
    yield from _table_of_decisions(found)


def _table_of_decisions(found: Iterable[Row]) -> Iterator[str]:
    number = 0
    for number, row in enumerate(found, 1):
        if number == 1:
            yield "<table><thead><tr><th>Severity</th><th>Finding</th><th>Decision</th></tr></thead><tbody>\n"
        if number > MOST_DECIDED:
            break
        where = texts.package(row.finding) or texts.place(row.finding)
        yield format_html(
            '<tr><td class="s {0}">{0}</td><td>{1}{2}</td><td>{3}</td></tr>\n',
            row.finding.severity, texts.title(row.finding), _small(where), texts.triage(row),
        )  # fmt: skip
    yield "</tbody></table>\n" if number else "<p>Nothing was decided about the findings above.</p>\n"
    if number > MOST_DECIDED:
        yield format_html("<p>{}</p>\n", f"These are the first {MOST_DECIDED:,}; the CSV has all.")
