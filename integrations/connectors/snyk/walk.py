"""Reads the issues of a repository page by page, with a cursor to go on from behind any page.

The repository's targets are looked for first, then their projects about the branch, then each project's issues. Asked for changes only,
a repository with several projects takes more: what is resolved or ignored in one of them may be open in another, which did not change and
is not listed. So what went quiet is held back until the open issues of all projects were seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Unpack
from urllib.parse import quote

from core.errors import InvalidInput
from core.http.door import BadAnswer, CallFailed, SignInFailed
from integrations.connectors.snyk.client import MOST_PAGES, Client, Kept, NotThere, Page, endless
from integrations.connectors.snyk.ignores import Ignores, ignores
from integrations.connectors.snyk.issues import Seen, is_ignored, key_of, reported
from integrations.connectors.snyk.organisations import organisation
from integrations.connectors.snyk.targets import Project, Target, Wanted
from integrations.contract.payloads import moment, text
from integrations.contract.reports import ReportedFinding
from integrations.contract.scans import Problem, ScanItem, ScanPage, ScanQuery, Section

TOOL = "snyk"
OVERLAP = timedelta(minutes=15)
"""Changes are asked for from so long before the last reading on: Snyk's own parts may know of a change at different times."""
MOST_HELD = 5_000
"""So many issues that went quiet are held back; more are closed with the next complete reading."""
TARGETS_KEPT_SECONDS = 300
"""The list of an organisation's targets is the same for all of its repositories."""
_NAMED = 5
_TARGETS, _PROJECTS = "targets", "projects"
_ALL, _CHANGED, _STANDING, _QUIET = "all", "changed", "standing", "quiet"
_BEHIND = {_CHANGED: _STANDING, _STANDING: _QUIET}
_OPEN, _SUPPRESSED, _FIXED = _LOUDEST = ("open", "suppressed", "fixed")


@dataclass
class _Place:
    """Where the reading stands: its fields are the cursor."""

    org: str
    slug: str
    since: str
    """The oldest change that is asked for, "" for everything."""
    stage: str = _TARGETS
    at: int = 0
    """Which target or project is being read."""
    next: str = ""
    pages: int = 0
    """Of the list that is being read."""
    mark: str = ""
    """An earlier `next` of this list: met again, the list leads in a circle."""
    kept: bool = False
    """Some of the list of targets was a kept answer."""
    fresh: bool = False
    """The list of targets is read without kept answers."""
    synced_to: str = ""
    """When Snyk answered first, by its clock."""
    reasons_refused: bool = False
    overflow: bool = False

    def turn(self, stage: str = "") -> None:
        """Begin with the next list, or with the first one of another stage."""
        self.stage, self.at = (stage, 0) if stage else (self.stage, self.at + 1)
        self.next, self.pages, self.mark = "", 0, ""


def scan_pages(client: Client, query: ScanQuery, config: Mapping[str, Any], cursor: Mapping[str, Any] | None = None) -> Iterator[ScanPage]:
    """Yield what Snyk says about a repository's branch, from behind `cursor` on. Raises OutboundError."""
    walk = _Walk(client, query, config, cursor)
    while walk.has_more:
        yield walk.step()


class _Walk:
    """See the module."""

    def __init__(self, client: Client, query: ScanQuery, config: Mapping[str, Any], cursor: Mapping[str, Any] | None) -> None:
        self._client, self._query, self._config = client, query, config
        self._ref = query.ref.removeprefix("refs/heads/")
        self._wanted = Wanted.of(query.repository, config)
        self._reasons: dict[str, Ignores] = {}
        if cursor is None:
            found = organisation(client, config["org"])
            since = (query.since - OVERLAP).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if query.since else ""
            self._place = _Place(found.id, found.slug, since)
        else:
            self._place = _Place(**cursor["place"])
        kept = cursor or {}
        self._targets: list[str] = list(kept.get("targets", []))
        self._others: list[str] = list(kept.get("others", []))
        """Names of targets, then of branches, that are not asked for: for a sentence."""
        self._projects = [Project(**one) for one in kept.get("projects", [])]
        self._held: dict[str, str] = dict(kept.get("held", {}))
        """What went quiet, by its digest, with the state that it has in all projects together."""

    @property
    def has_more(self) -> bool:
        return bool(self._place.stage)

    def step(self) -> ScanPage:
        """Read one page of one list."""
        if self._place.stage == _TARGETS:
            return self._find_targets()
        if self._place.stage == _PROJECTS:
            return self._find_projects()
        return self._read_issues()

    # --- the repository at Snyk ---

    def _find_targets(self) -> ScanPage:
        place, what = self._place, "the targets of the organisation"
        page = self._page(self._path("targets"), {}, what, cache_seconds=TARGETS_KEPT_SECONDS, refresh=place.fresh)
        place.kept = place.kept or page.cached
        for target in filter(None, map(Target.read, page.rows)):
            if self._wanted.takes(target):
                self._targets += [target.id] if target.id not in self._targets else []
            elif target.name and len(self._others) < _NAMED and target.name not in self._others:
                self._others.append(target.name)
        if not place.next:
            if not self._targets and place.kept and not place.fresh:  # it may have been imported since
                place.fresh, self._others = True, []
                place.turn(_TARGETS)
            elif not self._targets:
                raise self._no_target()
            else:
                self._others = []
                place.turn(_PROJECTS)
        return self._yielded()

    def _find_projects(self) -> ScanPage:
        place, repository = self._place, self._query.repository
        what = f"the projects of {repository.full_name}"
        page = self._page(self._path("projects"), {"target_id": self._targets[place.at]}, what)
        known = {one.id for one in self._projects}
        for project in map(Project.read, page.rows):
            if project is None:
                raise BadAnswer("Snyk lists a project without an id, so that its issues can't be asked for.", permanent=True)
            if project.is_of(self._ref, repository.default_branch):
                self._projects += [project] if project.id not in known else []
            elif project.active and len(self._others) < _NAMED and (project.ref or repository.default_branch) not in self._others:
                self._others.append(project.ref or repository.default_branch)
        if not place.next:
            place.turn()
            if place.at >= len(self._targets):
                if not self._projects:
                    raise self._no_project()
                place.turn(_CHANGED if place.since else _ALL)
        return self._yielded()

    # --- its issues ---

    def _read_issues(self) -> ScanPage:
        place, stage = self._place, self._place.stage
        project = self._projects[place.at]
        params = {"scan_item.id": project.id, "scan_item.type": "project"}
        params |= {"status": "open"} if stage in (_ALL, _STANDING) else {"updated_after": place.since}
        name = self._client.shown(project.name or project.id)
        page = self._page(self._path("issues"), params, f"the issues of {name}")
        items: list[ScanItem] = [Section(TOOL, category=place.org)]
        reasons = {} if stage == _STANDING else self._why(project, page, items)
        shown = f"{self._client.place.app}/org/{quote(place.slug, safe='')}/project/{quote(project.id, safe='')}"
        for issue in page.rows:
            seen = Seen(project, shown if self._client.place.app and place.slug else "", tuple(reasons.get(key_of(issue), ())))
            try:
                found = reported(issue, seen)
            except InvalidInput as error:
                items += [] if stage in (_STANDING, _QUIET) else [Problem(f"an issue of {name}", error.message)]
                continue
            items += filter(None, map(self._told, found))
        if not place.next:
            self._turn(items)
        return self._yielded(items)

    def _turn(self, items: list[ScanItem]) -> None:
        """Go on to the next project, behind the last one to what has to be read yet."""
        place = self._place
        place.turn()
        if place.at < len(self._projects):
            return
        following = _BEHIND.get(place.stage, "") if self._held else ""
        place.turn(following)
        if not following:
            place.stage = ""
            if place.overflow:
                sentence = f"More than {MOST_HELD:,} issues were resolved or ignored at once; the next complete reading closes the rest."
                items.append(Problem("Snyk", sentence, elsewhere=True))

    def _told(self, finding: ReportedFinding) -> ReportedFinding | None:
        """Return what is reported of a finding now, None where that is nothing or not known yet."""
        stage = self._place.stage
        if stage == _ALL:
            return finding if finding.state != _FIXED else None
        if len(self._projects) == 1:
            return finding
        digest, is_open = _digest(finding), finding.state == _OPEN
        if stage == _CHANGED and is_open:
            return finding
        if stage == _QUIET:
            state = _OPEN if is_open else self._held.pop(digest, _OPEN)  # told once, though it went in two projects
            return None if state == _OPEN else replace(finding, state=state)
        if stage == _CHANGED or digest in self._held:
            self._hold(digest, finding.state)
        return None

    def _hold(self, digest: str, state: str) -> None:
        """Keep in mind that something went quiet: in all projects together it is open before it is ignored, and ignored before fixed."""
        if digest not in self._held and len(self._held) >= MOST_HELD:
            self._place.overflow = True
        else:
            self._held[digest] = min(state, self._held.get(digest, state), key=_LOUDEST.index)

    def _why(self, project: Project, page: Page, items: list[ScanItem]) -> Ignores:
        """Return why issues of a project are ignored. That Snyk doesn't tell takes nothing away from the issues themselves."""
        if not self._config["read_ignores"] or self._place.reasons_refused or not any(map(is_ignored, page.rows)):
            return {}
        if project.id not in self._reasons:
            try:
                self._reasons[project.id] = ignores(self._client, self._place.org, project.id)
            except (BadAnswer, CallFailed, SignInFailed) as error:
                self._place.reasons_refused = True
                sentence = f"Snyk does not say why issues are ignored; that they are is known. {error.message}"
                items.append(Problem("Snyk: reasons of ignored issues", sentence, elsewhere=True))
        return self._reasons.get(project.id, {})

    # --- lists ---

    def _page(self, path: str, params: Mapping[str, str], what: str, **kept: Unpack[Kept]) -> Page:
        """Read the page of a list that is next, and note what is behind it."""
        place = self._place
        page = self._client.page(path, params, place.next, what=what, **kept)
        place.pages += 1
        if page.next and (page.next in (place.next, place.mark) or place.pages >= MOST_PAGES):
            raise endless(what)
        if place.pages & (place.pages - 1) == 0:  # Brent's way to find a circle: the mark waits at powers of two
            place.mark = page.next
        if page.at is not None and (not place.synced_to or page.at < datetime.fromisoformat(place.synced_to)):
            place.synced_to = page.at.isoformat()
        place.next = page.next
        return page

    def _path(self, name: str) -> str:
        return f"/orgs/{quote(self._place.org, safe='')}/{name}"

    def _yielded(self, items: list[ScanItem] | None = None) -> ScanPage:
        cursor = {
            "place": asdict(self._place),
            "targets": list(self._targets),
            "others": list(self._others),
            "projects": [asdict(one) for one in self._projects],
            "held": dict(self._held),
        }
        synced_to = None if self.has_more or not self._place.synced_to else moment(self._place.synced_to)
        return ScanPage(tuple(items or ()), cursor, synced_to=synced_to)

    def _named(self) -> str:
        return ", ".join(self._client.shown(name, 80) for name in self._others)

    def _no_target(self) -> NotThere:
        name = self._wanted.given or self._wanted.full_name
        there = f" It knows {self._named()}{', …' if len(self._others) == _NAMED else ''}." if self._others else ""
        return NotThere(
            f"Snyk has no target {name} in the organisation {self._place.slug}: import it at Snyk first (Projects → Add projects).{there}"
            " If it has another name there, give that in the integration's field targets."
        )

    def _no_project(self) -> NotThere:
        name = self._query.repository.full_name
        there = f"It watches {self._named()}." if self._others else "All of its projects are inactive."
        return NotThere(
            f"Snyk watches nothing of {name} on the branch {self._ref}. {there} Add the branch at Snyk, or activate its projects there."
        )


def _digest(finding: ReportedFinding) -> str:
    """Return what tells that two projects speak of the same: the package and the vulnerability, or the place in the code."""
    package, place = finding.package, finding.locations[0].path if finding.locations else ""
    parts = [finding.rule, *((package.ecosystem, package.name, package.version) if package else (place, *finding.fingerprints.values()))]
    return hashlib.sha256("\n".join(text(part, 2000) for part in parts).encode(errors="replace")).hexdigest()[:16]
