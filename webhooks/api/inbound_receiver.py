"""The addresses that other systems send webhooks to: plain views, outside of the API's authentication and parsers."""

from __future__ import annotations

import logging
import uuid

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from core import counters
from core.api.errors import Problem, describe
from core.errors import NotFound, RepoGuardError, Unavailable
from core.fields import DecryptError
from core.ids import is_uuid
from integrations.contract.inbound import Receiver
from webhooks.inbound.receive import receive
from webhooks.inbound.selectors import find_receiver

logger = logging.getLogger(__name__)
_RETRY_SECONDS = 10
_BUSY: tuple[type[Exception], ...] = (OperationalError, InterfaceError, DecryptError, *counters.FAILURES)


@csrf_exempt
def receive_view(request: HttpRequest, provider: str, id: str | None = None) -> HttpResponse:
    """Store an authentic request and answer 202 at once, or with what the platform waits for. HEAD answers 200."""
    try:
        receiver = find_receiver(provider)
        if id is not None and not is_uuid(id):
            raise NotFound("There is no inbound source with this id.")
    except NotFound as error:
        return _problem(error)
    if request.method == "HEAD":
        return HttpResponse()  # platforms look whether somebody is there before they save an address
    if request.method != "POST":
        sentence = "Webhooks are sent here by POST."
        return Problem(405, "method_not_allowed", sentence, headers={"Allow": "HEAD, POST"}).as_response()
    try:
        received = receive(request, receiver, None if id is None else uuid.UUID(id))
    except Unavailable as error:
        return _no_room(receiver, error)
    except RepoGuardError as error:
        return _problem(error)
    except _BUSY as error:
        logger.error("inbound_not_stored", exc_info=error, extra={"provider": provider})
        return _no_room(receiver, Unavailable("The request can't be stored at present; send it again shortly.", retry_after=_RETRY_SECONDS))
    if received.answer is not None:
        return JsonResponse(dict(received.answer))
    return JsonResponse({"id": str(received.id)}, status=202)


def _problem(error: RepoGuardError) -> HttpResponse:
    problem = describe(error)
    assert problem is not None  # noqa: S101 - it knows every error of ours
    return problem.as_response()


def _no_room(receiver: type[Receiver], error: Unavailable) -> HttpResponse:
    """Answer as this platform takes it best: some give up for ever at a 4xx."""
    headers = {"Retry-After": str(int(error.retry_after or _RETRY_SECONDS))}
    return Problem(receiver.overload_status, "overloaded", error.message, headers=headers).as_response()
