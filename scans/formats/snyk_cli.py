"""JSON of Snyk's CLI (`snyk test`, `snyk container test`, `snyk iac test`, with `--json`): https://docs.snyk.io/developer-tools/snyk-cli.

`snyk code test --json` writes SARIF.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from core.errors import InvalidInput
from integrations.contract.payloads import objects, text
from scans.formats import reading, snyk_issues
from scans.formats.base import Format, Head, Item, Problem, Section
from scans.formats.reading import inner
from scans.formats.snyk_issues import Project
from scans.formats.source import Source

_PROJECT = frozenset({"ok", "dependencyCount", "packageManager", "filesystemPolicy", "uniqueCount", "projectName", "licensesPolicy"})
_VULNERABILITY = frozenset({"from", "upgradePath", "packageName", "isUpgradable"})
_ENOUGH = 3
_IMAGE = "docker-image|"
_MISCONFIGURATIONS = ("infrastructureAsCodeIssues", "result.cloudConfigResults")


class SnykCli(Format):
    """Reports of Snyk's CLI: an object for one project, a list for several."""

    key = "snyk_cli"
    title = "Snyk CLI JSON"

    @classmethod
    def recognises(cls, head: Head) -> bool:
        """A project of Snyk's says how many dependencies it has and how they are managed; a failed one has nothing but the error."""
        found = head.object
        if found.get("ok") is False and isinstance(found.get("error"), str):
            return not set(found) - {"ok", "error", "path", "code", "errors"}
        if isinstance(found.get("infrastructureAsCodeIssues"), list):
            return True
        result = inner(found, "result")
        if "affectedPkgs" in result or "cloudConfigResults" in result:
            return True
        listed = found.get("vulnerabilities")
        if not isinstance(listed, list):
            return False
        # the names that tell it may come after more vulnerabilities than the head has
        first = next(iter(objects(listed)), {})
        return len(_PROJECT & set(found)) >= _ENOUGH or len(_VULNERABILITY & set(first)) >= _ENOUGH

    def read(self, source: Source) -> Iterator[Item]:
        """Yield each vulnerability of a project once, however many paths lead to it. A project that Snyk could not test is a problem.

        Raises InvalidInput where it could test none.
        """
        reading.expect(SnykCli, source)
        is_list = isinstance(source.beginning(1), list)
        report = reading.Report(source, "item" if is_list else "vulnerabilities.item")
        if not is_list:
            yield from _project("", report, None)
            return
        failed: list[Problem] = []
        last: Section | None = None
        for place, entry in enumerate(report.each("item")):
            if not isinstance(entry, dict) or not self.recognises(Head(entry)):
                failed.append(Problem(f"[{place}]", "It is no project of Snyk's."))
                continue
            try:
                for item in _project(f"[{place}].", reading.Report.of(entry), last):
                    last = item if isinstance(item, Section) else last
                    yield item
            except InvalidInput as error:
                failed.append(Problem(f"[{place}]", error.message))
        if last is None:
            raise InvalidInput(failed[0].sentence if failed else "Snyk tested no project.", code="scan_failed")
        yield from failed


def _project(where: str, report: reading.Report, last: Section | None) -> Iterator[Item]:
    """Yield what a project has, with a section where it is another than the one before. Raises InvalidInput for a failed one."""
    if report.one("ok") is not True and (error := reading.said(report.one("error"))):
        raise InvalidInput(f"Snyk could not test it: {error}", code="scan_failed")
    project = _known(report)
    section = Section(project.tool, category=project.category)
    if section != last:
        yield section
    yield from _dependencies(where, report, project)
    for name in _MISCONFIGURATIONS:
        yield from reading.listed(report, name, partial(snyk_issues.misconfiguration, project), within=where)
    for place, entry in enumerate(report.each("applications.item")):
        application = replace(project, manager=text(entry.get("packageManager")) if isinstance(entry, dict) else "")
        yield from _dependencies(f"{where}applications[{place}].", reading.Report.of(entry), application)
    if not report.has_list("applications", required=False):
        yield Problem(f"{where}applications", reading.NO_LIST)


def _known(report: reading.Report) -> Project:
    name, manager = text(report.one("projectName"), 1000), text(report.one("packageManager"))
    in_image = name.startswith(_IMAGE) or bool(report.one("docker")) or bool(report.one("result.docker"))
    if in_image:
        return Project(manager, "", "snyk-container", reading.image(name.removeprefix(_IMAGE) or report.one("path")))
    is_code = any(report.has_list(name, required=True) for name in _MISCONFIGURATIONS)
    manifest = reading.path(report.one("displayTargetFile")) or reading.path(report.one("targetFile"))
    return Project(manager, manifest, "snyk-iac" if is_code else "snyk")


def _dependencies(where: str, report: reading.Report, project: Project) -> Iterator[Item]:
    """Yield what is open before what is ignored: what is ignored on one path only, is open."""
    seen: set[tuple[str, ...]] = set()
    for name, state in (("vulnerabilities", "open"), ("filtered.ignore", "suppressed"), ("filtered.patch", "suppressed")):
        once = _once(report.each(f"{name}.item"), seen)
        yield from reading.usable(f"{where}{name}", once, partial(snyk_issues.dependency, project, state))
        if not report.has_list(name, required=False):
            yield Problem(f"{where}{name}", reading.NO_LIST)
    affected = snyk_issues.affected(report.one("result.affectedPkgs"), report.one("result.issuesData"))
    yield from reading.usable(f"{where}result.affectedPkgs", _once(affected, seen), partial(snyk_issues.dependency, project, "open"))


def _once(entries: Iterable[Any], seen: set[tuple[str, ...]]) -> Iterator[Any]:
    for entry in entries:
        if isinstance(entry, dict):
            key = (text(entry.get("id")), snyk_issues.name(entry), text(entry.get("version")))
            if all(key[:2]) and key in seen:
                continue
            seen.add(key)
        yield entry
