"""What a destination would send of an event, found out without sending it: a door that leads nowhere notes what comes to it."""

from __future__ import annotations

import json as json_text
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import OutboundError, RepoGuardError
from core.http import prepare
from core.http.client import EXPECTED, Door
from core.http.door import Auth, BadAnswer, NoAuth, Outgoing, Reply
from core.http.masking import Mask, secret_texts
from core.models.outbound import CallPurpose
from core.texts import storable
from integrations.auth import dressed
from integrations.calls import terms_of
from integrations.contract.connector import Context
from integrations.contract.outbound import (
    CallDestination,
    DestinationKind,
    DestinationRequest,
    HttpDestination,
    NothingToTell,
    Outcome,
    OutgoingEvent,
    Remembered,
    Reserved,
)
from integrations.contract.signin import OAuthApp
from integrations.models import Integration
from integrations.registry import find

MOST_CALLS = 5
MAX_SHOWN = 100_000
"""Characters of a body that are shown."""
_READING = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class Shown:
    """A request as people may see it: without credentials."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str
    size: int
    """Bytes of the body."""

    @property
    def readable(self) -> str:
        """Return the body for people: JSON over several lines, anything else as it is."""
        try:
            return json_text.dumps(json_text.loads(self.body), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            return self.body


@dataclass(frozen=True)
class Rehearsal:
    """What would be sent; `note` says why nothing would be, or why not more is known."""

    requests: tuple[Shown, ...]
    note: str = ""


class _Enough(BaseException):
    """Ends a rehearsal that asks for ever more."""


class _Nowhere(Door):
    """Notes what is asked. A question is answered "not found", so that what would be made is shown; whatever is made succeeds."""

    def __init__(self, integration: Integration, auth: Auth) -> None:
        super().__init__(terms_of(integration, CallPurpose.DESTINATION), auth)
        self.sent: list[DestinationRequest] = []

    def request(
        self,
        method: str,
        url: str,
        *,
        params: prepare.Params = (),
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        body: bytes | None = None,
        expected: Collection[int] = EXPECTED,
        cache_seconds: int = 0,
        refresh: bool = False,
        repeatable: bool | None = None,
        unnamed_wait: float | None = None,
    ) -> Reply:
        """Note a request. Raises as the real door does for what can't be sent."""
        request = prepare.outgoing(method, url, params, headers, json, body)
        full_url = prepare.target_url(request.url, request.params)
        if request.method in _READING:
            if 404 in expected:
                return Reply(404, {}, b"{}", full_url)
            raise BadAnswer("Nothing was asked: this only shows what would be sent.", status_code=404)
        signed = Outgoing(request.method, full_url, dict(request.headers), [], request.body)
        self.auth.apply(signed)
        address = prepare.target_url(signed.url, signed.params)
        self.sent.append(DestinationRequest(address, signed.headers, signed.body or b"", signed.method))
        if len(self.sent) >= MOST_CALLS:
            raise _Enough
        return Reply(next((status for status in (201, 200, 202, 204) if status in expected), 200), {}, b"{}", full_url)


class _Empty:
    """A memory that knows nothing, and keeps nothing beyond the rehearsal."""

    def __init__(self) -> None:
        self._kept: dict[str, Remembered] = {}

    def get(self, key: str) -> str | None:
        return self._kept[key].external_id if key in self._kept else None

    def put(self, key: str, external_id: str, data: Mapping[str, Any] | None = None) -> None:
        self._kept.setdefault(key, Remembered(external_id, data or {}))

    def recall(self, key: str) -> Remembered | None:
        return self._kept.get(key)

    def reserve(self, key: str, holder: str) -> Reserved:
        return Reserved.MADE if key in self._kept else Reserved.FIRST

    def replace(self, key: str, external_id: str, data: Mapping[str, Any] | None = None) -> None:
        self._kept[key] = Remembered(external_id, data or {})

    def latest(self, key: str, order: str, data: Mapping[str, Any] | None = None) -> Remembered:
        return self._kept.setdefault(key, Remembered(order, data or {}))

    def forget(self, key: str) -> None:
        self._kept.pop(key, None)


class _Unsigned(NoAuth):
    """Stands for a sign-in that would have to ask for a token."""

    def apply(self, request: Outgoing) -> None:
        request.headers["Authorization"] = "Bearer (a token, fetched when it is sent)"


def rehearse(integration: Integration, options: Mapping[str, Any], event: OutgoingEvent) -> Rehearsal:
    """Return what the destination of an integration, stored or not, would send of an event. Nothing is sent, stored or asked.

    Raises InvalidInput for a connector that there is not, or that takes no events, and DecryptError.
    """
    connector_type = find(integration.type)
    config: Mapping[str, Any] = integration.config
    stored: Any = integration.credentials
    credentials: dict[str, Any] = dict(stored or {})
    found = connector_type.auth(config, credentials)
    auth = dressed(_Unsigned() if isinstance(found, OAuthApp) else found, connector_type.extra_headers(config, credentials))
    door = _Nowhere(integration, auth)
    connector = connector_type(Context(integration.id, integration.name, config, credentials, door))
    if not isinstance(connector, HttpDestination | CallDestination):
        raise OutboundError(f"{connector.title} takes no events.")
    mask = Mask({*secret_texts(credentials), *secret_texts(auth.secrets())})
    sent, note = _found_out(connector, door, event, options)
    return Rehearsal(tuple(_shown(one, mask) for one in sent), storable(mask.known(note)))


def _found_out(
    connector: HttpDestination | CallDestination, door: _Nowhere, event: OutgoingEvent, options: Mapping[str, Any]
) -> tuple[list[DestinationRequest], str]:
    try:
        told = connector.rehearse(event, options)
        if told is not None:
            return told, ""
        if isinstance(connector, HttpDestination) and type(connector).destination_kind(connector.config) == DestinationKind.HTTP:
            return [connector.build(event, options)], ""
        if isinstance(connector, CallDestination):
            return door.sent, _skipped(connector.send(event, options, _Empty()), door)
        return [], "This configuration says how it delivers, but not how."
    except NothingToTell as nothing:
        return door.sent, f"Nothing would be sent: {nothing.reason}"
    except RepoGuardError as error:
        return door.sent, "" if door.sent else error.message
    except _Enough:
        return door.sent, "Further requests follow."
    except Exception:  # a connector that reads more of an answer than a rehearsal has: what it sent until then is shown
        return door.sent, "" if door.sent else "What would be sent depends on answers of the other system."


def _skipped(told: Outcome, door: _Nowhere) -> str:
    return "" if door.sent else str(told.error or "Nothing would be sent of this event.")


def _shown(request: DestinationRequest, mask: Mask) -> Shown:
    body = mask.known(request.body.decode("utf-8", "replace"))  # before it is cut, which may be within a secret
    cut = body[:MAX_SHOWN] + ("…" if len(body) > MAX_SHOWN else "")
    headers = dict(mask.headers(request.headers.items(), MAX_SHOWN))
    return Shown(request.method, mask.url(request.url, 2_000), headers, storable(cut), len(request.body))
