"""Events that outsiders post: what they may say, which repository it is about, and whose it then is."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from access.principals import Principal
from access.scopes import EVENTS_SYSTEM
from core import bus
from core.bus import Announcement, Prepared
from core.errors import InvalidInput, NotAllowed, RepoGuardError, TooLarge
from core.event_types import catalogue
from core.fields import JSONValue
from core.models import Event
from integrations.models import Repository
from integrations.selectors.repositories import repositories_by_reference
from integrations.services.repositories import how_to_register

MAX_EVENTS = 1000
_MAX_ERRORS = 20
_MAX_REFERENCE = 255
_KEYS = {"type", "data", "repository"}


@dataclass(frozen=True)
class Posted:
    """One event as it was posted. `about` is a repository that the data name, without the caller having said so."""

    type: str
    data: JSONValue
    repository: str | None = None
    about: str | None = None


def post_events(items: Sequence[object], who: Principal, owner_id: uuid.UUID | None, *, path: str = "") -> list[Event]:
    """Publish what a caller posted, all or nothing, and return the events in order.

    `owner_id` owns the events that are about no repository. Errors name the place as `path` with the item's number for `{}`
    (nothing for a single event). Raises InvalidInput, TooLarge and NotAllowed.
    """
    problems = _Problems(path)
    posted = [problems.watch(place, lambda item=item: _read(item)) for place, item in enumerate(items)]
    problems.raise_any()
    references = {name for one in posted for name in (one.repository, one.about) if name}
    known = repositories_by_reference(references, who)
    prepared: list[Prepared] = [
        problems.watch(place, lambda one=one: _prepare(one, who, owner_id, known)) for place, one in enumerate(posted)
    ]
    problems.raise_any()
    return bus.publish_prepared(prepared)


def _read(item: object) -> Posted:
    if not isinstance(item, dict):
        raise InvalidInput.of("", "must be an object with type and data.")
    errors: dict[str, list[str]] = {}
    for name in [name for name in item if name not in _KEYS][:5]:
        errors[ascii(name)[1:-1][:100]] = ["is not a known field. Known here: data, repository, type."]
    name, data, repository = item.get("type"), item.get("data"), item.get("repository")
    if not isinstance(name, str) or not name:
        errors["type"] = ["must be a text: the event's type."]
    if "data" not in item:
        errors["data"] = ["must be given: a JSON object."]
    if repository is not None and not (isinstance(repository, str) and 0 < len(repository) <= _MAX_REFERENCE and repository.isprintable()):
        errors["repository"] = ["must be a repository's id or full name."]
    if errors:
        raise InvalidInput(_sentence(errors), fields=errors)
    return Posted(str(name), data, repository, None if repository else _about(data))


def _about(data: Any) -> str | None:
    """Return the name of the repository that a provider's payload is about."""
    repository = data.get("repository") if isinstance(data, dict) else None
    name = repository.get("full_name") if isinstance(repository, dict) else None
    return name if isinstance(name, str) and 0 < len(name) <= _MAX_REFERENCE and name.isprintable() else None


def _prepare(posted: Posted, who: Principal, owner_id: uuid.UUID | None, known: dict[str, list[Repository]]) -> Prepared:
    _check_type(posted.type, who)
    repository = _repository(posted, known, who)
    return bus.prepare(
        Announcement(
            posted.type,
            posted.data,
            owner_id=repository.owner_id if repository else owner_id,
            repository_id=repository.id if repository else None,
        )
    )


def _check_type(name: str, who: Principal) -> None:
    event_type = catalogue.find(name)
    if event_type is None or event_type.postable:
        return  # an unknown one is refused when it is prepared
    if event_type.operational or event_type.recorded:
        raise InvalidInput.of("type", f"{name} is published by the portal itself and can't be posted.", code="not_postable")
    if EVENTS_SYSTEM not in who.scopes:
        sentence = f"{name} needs the scope {EVENTS_SYSTEM}; repository.*, pull_request.*, build.* and custom.* do not."
        raise NotAllowed(f"type: {sentence}", fields={"type": [sentence]})


def _repository(posted: Posted, known: dict[str, list[Repository]], who: Principal) -> Repository | None:
    if posted.repository is None:
        found = known.get(posted.about or "", [])
        return found[0] if len(found) == 1 else None
    found = known[posted.repository]
    if not found:
        raise InvalidInput.of("repository", f"is not a repository that you can see; {how_to_register(who)}.")
    if len(found) > 1:
        raise InvalidInput.of("repository", "is the name of several repositories; give the id instead.")
    return found[0]


class _Problems:
    """Collects the errors of a batch by the places they were made at."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._found: list[tuple[str, RepoGuardError]] = []

    def watch(self, place: int, step: Any) -> Any:
        """Return what `step` returns; an error is kept until raise_any()."""
        try:
            return step()
        except (InvalidInput, NotAllowed, TooLarge) as error:
            self._found.append((self._path.format(place), error))
            return None

    def raise_any(self) -> None:
        """Raise one error for all that were found, of the first one's kind."""
        if not self._found:
            return
        where, first = self._found[0]
        if not self._path:
            raise first
        fields: dict[str, list[str]] = {}
        for place, error in self._found[:_MAX_ERRORS]:
            for name, sentences in error.fields.items():
                fields[f"{place}.{name}" if name else place] = sentences
        more = f" {len(self._found)} events are wrong." if len(self._found) > 1 else ""
        raise type(first)(f"{where}: {first.message.removeprefix(': ')}{more} Nothing was stored.", code=first.code, fields=fields)


def _sentence(errors: dict[str, list[str]]) -> str:
    return " ".join(f"{field}: {sentences[0]}" for field, sentences in errors.items())
