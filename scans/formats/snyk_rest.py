"""Issues in JSON, as Snyk's REST API lists them (`GET /rest/orgs/{org}/issues?scan_item.id=…`): a page, or a list of all pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from core.errors import InvalidInput
from integrations.connectors.snyk.issues import Seen, reported
from integrations.connectors.snyk.targets import Project
from integrations.contract.payloads import at, text
from scans.formats import reading
from scans.formats.base import Format, Head, Item, Problem, Section
from scans.formats.reading import inner
from scans.formats.source import Source

_TOOL = "snyk"


class SnykIssues(Format):
    """Answers of Snyk's REST API; each project is a category, as its issues are all that such a file is whole about."""

    key = "snyk_rest"
    title = "Snyk REST issues JSON"

    @classmethod
    def recognises(cls, head: Head) -> bool:
        """An issue says its key and its effective severity; a page without any says where it is from."""
        found = head.object
        listed = found.get("data")
        if not isinstance(listed, list):
            return False
        if not listed:
            return "jsonapi" in found and bool(_project_of(_link(found, "self")))
        return at(listed[0], "type") == "issue" and {"key", "effective_severity_level"} <= set(inner(listed[0], "attributes"))

    def read(self, source: Source) -> Iterator[Item]:
        """Yield what is open or ignored; a project whose issues are all resolved has a section."""
        reading.expect(SnykIssues, source)
        if not isinstance(source.beginning(1), list):
            report = reading.Report(source, "data.item")
            yield from _page("", report, last=True)
            return
        before, number = None, 0
        for place, page in enumerate(source.items("item")):
            if place:
                yield from _page(f"[{place - 1}].", reading.Report.of(before), last=False)
            before, number = page, place
        yield from _page(f"[{number}].", reading.Report.of(before), last=True)


def _page(where: str, report: reading.Report, *, last: bool) -> Iterator[Item]:
    links = report.one("links")
    asked = _project_of(_link({"links": links}, "self"))
    said = asked or None
    if said:
        yield _section(said)
    for place, issue in enumerate(report.each("data.item")):
        own = text(at(issue, "relationships", "scan_item", "data", "id"), 100) or asked
        try:
            found = reported(issue, Seen(Project(own)))
        except InvalidInput as error:
            yield Problem(f"{where}data[{place}]", error.message)
            continue
        if own != said:
            said = own
            yield _section(own)
        yield from (one for one in found if one.state != "fixed")
    if not report.has_list("data", required=True):
        yield Problem(f"{where}data", reading.NO_LIST)
    if last and _link({"links": links}, "next"):
        yield Problem(f"{where}links.next", "More pages follow it: send all of them, as one list.")


def _section(project: str) -> Section:
    return Section(_TOOL, category=f"project:{project}" if project else "")


def _link(page: Any, name: str) -> str:
    link = at(page, "links", name)
    found = at(link, "href") if isinstance(link, dict) else link
    return found[:4000] if isinstance(found, str) else ""


def _project_of(link: str) -> str:
    """Return the project that a list was asked for, as its own address tells, "" where it was of several."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return ""
    return text(parse_qs(parts.query).get("scan_item.id", [""])[0], 100) if parts.path.endswith("/issues") else ""
