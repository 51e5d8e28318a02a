"""Where a result is: paths relative to the repository's root, from URIs, base ids, artifact indexes and absolute paths."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from integrations.contract.reports import ReportedLocation
from scans.formats.sarif.texts import objects, part

MOST_LOCATIONS = 100
_MOST_CACHED = 20_000
_MOST_BASES = 100
_LONGEST_PATH = 4_000
_LONGEST_SNIPPET = 2_000
_LONGEST_CHAIN = 10
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # a single letter is a drive
_ABSOLUTE = re.compile(r"/|[A-Za-z]:/")
_ROOT_NAMES = ("REPOROOT", "REPO_ROOT", "PROJECTROOT", "PROJECT_ROOT", "SRCROOT")
# where CI services and the usual container images have the repository
_CHECKOUT = re.compile(
    r"/github/workspace/|/home/runner/work/[^/]+/[^/]+/|/builds/[^/]+/[^/]+/|/opt/atlassian/pipelines/agent/build/"
    r"|/home/vsts/work/\d+/s/|[A-Z]:/a/(?:\d+/s|[^/]+/[^/]+)/|/home/circleci/(?:project|repo)/|/var/(?:lib/)?jenkins(?:_home)?/workspace/[^/]+/"
    r"|/bitrise/src/"
)
_MOUNT = re.compile(r"/(?:workspace|src)/")  # said as a URI of a file; "/src/a.c" alone is more likely written from the repository's root


class Places:
    """The places of one run."""

    def __init__(self, run: dict[str, Any]) -> None:
        bases = run.get("originalUriBaseIds")
        self._bases: dict[str, Any] = bases if isinstance(bases, dict) else {}
        artifacts = run.get("artifacts")
        self._artifacts: list[Any] = artifacts if isinstance(artifacts, list) else []
        self._roots = self._known_roots(run)
        self._cache: dict[Any, str] = {}

    def locations(self, result: dict[str, Any], *, hidden: bool) -> tuple[ReportedLocation, ...]:
        """Return the places of a result, without code where that is `hidden`; what it analysed where it names none."""
        found = result.get("locations")
        places = []
        for location in found[:MOST_LOCATIONS] if isinstance(found, list) else ():
            physical = location.get("physicalLocation") if isinstance(location, dict) else None
            if isinstance(physical, dict) and (path := self.path(physical.get("artifactLocation"))):
                region = physical.get("region")
                places.append(_place(path, region, hidden) if isinstance(region, dict) else ReportedLocation(path))
        if not places and "analysisTarget" in result and (path := self.path(result["analysisTarget"])):
            places.append(ReportedLocation(path))
        return tuple(places)

    def path(self, artifact: Any) -> str:
        """Return the path of an artifactLocation, "" where it has none."""
        if not isinstance(artifact, dict):
            return ""
        uri, base, index = artifact.get("uri"), artifact.get("uriBaseId"), artifact.get("index")
        if not isinstance(uri, str) or not uri:
            uri = None
        key = (uri, base if isinstance(base, str) else None, index if uri is None and type(index) is int else None)
        found = self._cache.get(key)
        if found is None:
            if len(self._cache) >= _MOST_CACHED:
                self._cache.clear()
            found = self._cache[key] = self._resolved(*key)
        return found

    def _resolved(self, uri: str | None, base: str | None, index: int | None) -> str:
        if uri is None:
            if index is None or not 0 <= index < len(self._artifacts):
                return ""
            location = part(self._artifacts[index], "location")
            uri, base = location.get("uri"), location.get("uriBaseId")
            if not isinstance(uri, str):
                return ""
        path, absolute = _decoded(uri[:_LONGEST_PATH])
        if absolute is None:
            return path
        if absolute:
            return self._relative(path, mounted=uri[:5].lower() == "file:")
        root, inside = self._chain(base)
        if root and self._roots:
            whole = _join(root, inside, path)
            if len(self._roots[0]) > 1 and whole.startswith(self._roots[0]):
                return _tidy(whole[len(self._roots[0]) :])
        return _tidy(_join(inside, path))

    def _chain(self, base: Any) -> tuple[str, str]:
        """Return the absolute path that a chain of base ids begins with, "" where nothing says it, and the path inside."""
        inside = ""
        for _ in range(_LONGEST_CHAIN):
            entry = self._bases.get(base) if isinstance(base, str) else None
            if entry is None:
                break
            uri = entry.get("uri") if isinstance(entry, dict) else None
            if isinstance(uri, str) and uri.strip():
                path, absolute = _decoded(uri.strip()[:_LONGEST_PATH])
                if absolute:
                    return _folder(path), inside
                if absolute is False:
                    inside = _join(path, inside)
            base = entry.get("uriBaseId") if isinstance(entry, dict) else None
        return "", inside

    def _relative(self, path: str, *, mounted: bool) -> str:
        """Return an absolute path relative to the repository, or from the root of the file system where that isn't known."""
        if self._roots and len(self._roots[0]) > 1 and path.startswith(self._roots[0]):
            return _tidy(path[len(self._roots[0]) :])
        if match := _CHECKOUT.match(path) or (_MOUNT.match(path) if mounted else None):
            return _tidy(path[match.end() :])
        root = next((root for root in self._roots if path.startswith(root)), "")
        return _tidy(path[len(root) :])

    def _known_roots(self, run: dict[str, Any]) -> tuple[str, ...]:
        """Return absolute folders, the likeliest root of the repository first."""
        found = []
        for control in objects(run.get("versionControlProvenance"), 10):
            mapped = part(control, "mappedTo")
            found.append(self._absolute(mapped.get("uri"), mapped.get("uriBaseId")))
        names = {name.strip("%").upper(): name for name in list(self._bases)[:_MOST_BASES]}
        found += [self._absolute("", names[name]) for name in _ROOT_NAMES if name in names]
        others = [self._absolute("", name) for name in names.values()]
        found += sorted(others, key=lambda root: (-len(root), root))
        for invocation in objects(run.get("invocations"), 10):
            working = part(invocation, "workingDirectory")
            found.append(self._absolute(working.get("uri"), working.get("uriBaseId")))
        return tuple(dict.fromkeys(root for root in found if root))

    def _absolute(self, uri: Any, base: Any) -> str:
        path, absolute = _decoded(uri[:_LONGEST_PATH]) if isinstance(uri, str) else ("", False)
        if absolute is None:
            return ""
        if absolute:
            return _folder(path)
        root, inside = self._chain(base)
        return _folder(_join(root, inside, path)) if root else ""


def _place(path: str, region: dict[str, Any], hidden: bool) -> ReportedLocation:
    line, end, code = region.get("startLine"), region.get("endLine"), ""
    if not hidden and (snippet := region.get("snippet")) and isinstance(snippet, dict):
        text = snippet.get("text")
        code = text[:_LONGEST_SNIPPET] if isinstance(text, str) else ""
    if type(line) is not int or not 0 < line < 2**31:
        return ReportedLocation(path, None, None, code)
    return ReportedLocation(path, line, end if type(end) is int and line <= end < 2**31 else None, code)


def _decoded(uri: str) -> tuple[str, bool | None]:
    """Return the path of a URI and whether it is absolute; None says that it is no path."""
    scheme = _SCHEME.match(uri)
    if scheme and scheme[1].lower() != "file":
        return unquote(uri).strip(), None
    path = uri[5:] if scheme else uri
    if scheme and path.startswith("//"):
        path = path[2:] if path[2:3] == "/" else "/" + path[2:].partition("/")[2]
    path = (unquote(path) if "%" in path else path).replace("\\", "/")
    if scheme or path.startswith("/"):
        path = "/" + path.lstrip("/")
        path = path[1:] if _ABSOLUTE.match(path, 1) else path
    return path, bool(scheme or _ABSOLUTE.match(path))


def _folder(path: str) -> str:
    return path if path.endswith("/") else path + "/"


def _join(*parts: str) -> str:
    whole = ""
    for piece in parts:
        whole = f"{whole.rstrip('/')}/{piece.lstrip('/')}" if whole and piece else whole or piece
    return whole


def _tidy(path: str) -> str:
    if "//" not in path and "./" not in path and path[:1] not in {"/", "."} and path[-1:] not in {"/", "."}:
        return path
    kept: list[str] = []
    for name in path.split("/"):
        if name == "..":
            del kept[-1:]
        elif name and name != ".":
            kept.append(name)
    return "/".join(kept) or "."
