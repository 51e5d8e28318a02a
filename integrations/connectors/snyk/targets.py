"""Which of Snyk's targets a repository is, and which of their projects are about a branch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from integrations.choices import Provider
from integrations.connectors.snyk.fields import Match
from integrations.contract.payloads import at, repository_in, text
from integrations.contract.reports import RepositoryRef

_SCHEME = re.compile(r"^(?:[a-z][a-z+]*://)?(?:[^/@]*@)?")
_PLATFORMS = {"github": Provider.GITHUB, "gitlab": Provider.GITLAB, "bitbucket": Provider.BITBUCKET, "azure": Provider.AZURE_DEVOPS}
_NO_REPOSITORY = frozenset(
    {"docker-hub", "acr", "ecr", "gcr", "kubernetes", "heroku", "aws-lambda", "azure-functions", "cloud-foundry", "pivotal", "ibm-cloud"}
    | {"nexus-private-repo", "terraform-cloud"}
)
"""Images and what runs; registries of images end in -cr."""


@dataclass(frozen=True)
class Target:
    """What Snyk imported as one: a repository, an image, …"""

    id: str
    name: str
    url: str
    source: str
    """Where Snyk has it from, such as github-enterprise or cli; "" where it doesn't say."""

    @classmethod
    def read(cls, row: Any) -> Target | None:
        """Return an entry of the list, None for what has no id. Older versions write the names in another way."""
        id, said = text(at(row, "id"), 100), at(row, "attributes")
        name = text(at(said, "display_name"), 500) or text(at(said, "displayName"), 500)
        url = text(at(said, "url"), 2000) or text(at(said, "remoteUrl"), 2000)
        source = text(at(row, "relationships", "integration", "data", "attributes", "integration_type")) or text(at(said, "origin"))
        return cls(id, name, url, source.lower()) if id else None


@dataclass(frozen=True)
class Wanted:
    """The repository that targets are looked for."""

    full_name: str
    provider: str
    match: str = Match.ANY
    given: str = ""
    """What the configuration says the target is called, "" where it is called as the repository."""

    @classmethod
    def of(cls, repository: RepositoryRef, config: Mapping[str, Any]) -> Wanted:
        """Return what is looked for, as the configuration says."""
        named = {name.lower(): value for name, value in config.get("targets", {}).items()}
        return cls(repository.full_name, repository.provider, config["match"], named.get(repository.full_name.lower(), ""))

    def takes(self, target: Target) -> bool:
        """Say whether a target is of the repository."""
        if self.given:
            return bool({self.given.lower(), plain(self.given)} & {target.id.lower(), target.name.lower(), plain(target.url)})
        names = {target.name.lower()} if self.match != Match.URL else set()
        if self.match != Match.NAME:
            names.add(repository_in(target.url).lower().replace("/_git/", "/"))  # Azure's
        return self.full_name.lower() in names and not self._is_elsewhere(target)

    def _is_elsewhere(self, target: Target) -> bool:
        """Say whether a target of that name is an image, or lives at another platform."""
        if target.source in _NO_REPOSITORY or target.source.endswith("-cr"):
            return True
        host = plain(target.url).partition("/")[0]
        there = {provider for word, provider in _PLATFORMS.items() if target.source.startswith(word) or word in host}
        return bool(there) and self.provider in _PLATFORMS.values() and self.provider not in there


@dataclass(frozen=True)
class Project:
    """One manifest, or the code, of a target."""

    id: str
    name: str = ""
    type: str = ""
    """What manages its packages, such as npm; sast for code."""
    manifest: str = ""
    ref: str = ""
    active: bool = True

    @classmethod
    def read(cls, row: Any) -> Project | None:
        """Return an entry of the list, None for what has no id."""
        id, said = text(at(row, "id"), 100), at(row, "attributes")
        name, manifest = text(at(said, "name"), 500), text(at(said, "target_file"), 1000)
        manifest = manifest or (name.partition(":")[2] if "/" in name.partition(":")[0] else "")
        ref, status = text(at(said, "target_reference")), text(at(said, "status"))
        return cls(id, name, text(at(said, "type")), manifest.lstrip("/"), ref, status.lower() != "inactive") if id else None

    def is_of(self, ref: str, default_branch: str) -> bool:
        """Say whether it is about a branch; one that names none is about the default branch."""
        return self.active and (self.ref or default_branch) == ref


def plain(url: str) -> str:
    """Return a repository's address without what may differ: github.com/acme/shop."""
    return _SCHEME.sub("", url.strip().lower()).rstrip("/").removesuffix(".git")
