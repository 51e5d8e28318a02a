"""Attempts of webhooks with a payload template: what it makes of the event takes the place of the portal's own body.

Rendering is bounded, but computing all the same: it has a thread of its own, so that the event loop goes on sending meanwhile.
"""

from __future__ import annotations

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from weakref import WeakValueDictionary

from core.errors import InvalidInput
from core.http.custom_headers import check_headers
from core.texts import storable
from integrations.contract.outbound import DestinationRequest, HttpDestination, OutgoingEvent
from templates_app.payloads.content import Rendered, render_event, with_type
from webhooks.destinations.event import outgoing
from webhooks.engine.types import Claimed

_threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="payload-templates")
_turns: WeakValueDictionary[uuid.UUID, asyncio.Lock] = WeakValueDictionary()
"""Of each owner with templates that are rendered now. One at a time waits for the thread, so that owners take turns in it."""


async def templated(claimed: Claimed) -> Claimed:
    """Return a delivery to a URL of its own with what its template makes. Raises InvalidInput where nothing can be sent."""
    rendered = await _rendered(claimed)
    try:
        check_headers(dict(rendered.headers))
        url = rendered.address(claimed.target.url)
    except InvalidInput as error:
        raise _about(claimed, error) from None
    return replace(claimed, body=rendered.body, target=replace(claimed.target, url=url, rendered=rendered))


async def templated_request(claimed: Claimed, connector: HttpDestination, wanted: DestinationRequest) -> DestinationRequest:
    """Return the request of a destination with the body that the template makes. Raises InvalidInput where the platform would refuse it."""
    rendered = await _rendered(claimed)
    if problems := connector.body_problems(rendered.body):
        raise _about(claimed, InvalidInput(f"{connector.title} would refuse it: {problems[0]}"))
    return replace(wanted, body=rendered.body, headers=with_type(wanted.headers, rendered.content_type))


def event_of(claimed: Claimed) -> OutgoingEvent:
    """Return the event as destinations and templates get it."""
    row = claimed.row
    return outgoing(row.event_id, row.event_type, row.event_at, row.attempts + 1, claimed.body, claimed.delivery_id)


async def _rendered(claimed: Claimed) -> Rendered:
    try:
        async with _turn(claimed):
            return await asyncio.get_running_loop().run_in_executor(_threads, _render, claimed)
    except InvalidInput as error:
        raise _about(claimed, error) from None


def _turn(claimed: Claimed) -> asyncio.Lock:
    template = claimed.target.template
    whose = template.owner_id if template is not None else None
    return _turns.setdefault(whose or claimed.target.webhook_id, asyncio.Lock())  # templates of the admins are everybody's


def _render(claimed: Claimed) -> Rendered:
    template = claimed.target.template
    if template is None:
        raise InvalidInput("It was deleted: give the webhook another, or none.")
    return render_event(template.content(), event_of(claimed))


def _about(claimed: Claimed, error: InvalidInput) -> InvalidInput:
    name = claimed.target.template.name if claimed.target.template else "that it names"
    return InvalidInput(storable(f"What the payload template {name} makes of this event was not sent. {error.message}"))
