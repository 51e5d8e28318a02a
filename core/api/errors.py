"""Every API error in one shape: {code, message, fields, request_id}.

`handle_exception` is DRF's exception handler; the `handler…` functions and `csrf_failure` answer for requests that never
reach DRF. Outside /api/ Django's own pages are served.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import BadRequest, DisallowedHost, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseBase, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError
from django.views import csrf as django_csrf
from django.views import defaults
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.settings import api_settings

from core import context
from core.errors import RepoGuardError
from core.fields import DecryptError
from core.intake import SlowSender

logger = logging.getLogger(__name__)
API_PREFIX = "/api/"
_CODES = {
    "parse_error": "malformed",
    "permission_denied": "not_allowed",
    "throttled": "rate_limited",
    "error": "internal",
}
_DATABASE_RETRY_SECONDS = 5


@dataclass(frozen=True)
class Problem:
    """What an error answer says; `fields` maps a field to sentences, `headers` are added to the answer."""

    status: int
    code: str
    message: str
    fields: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Return the JSON object of the answer."""
        return {"code": self.code, "message": self.message, "fields": dict(self.fields), "request_id": context.request_id()}

    def as_response(self) -> JsonResponse:
        """Return the answer for a request that never reached DRF."""
        return JsonResponse(self.body(), status=self.status, headers=dict(self.headers))


def handle_exception(exc: Exception, view_context: Mapping[str, Any]) -> Response:
    """Turn whatever a view raised into the one error answer."""
    problem = describe(exc)
    if problem is None:
        logger.error("request_failed", exc_info=exc, extra={"view": type(view_context.get("view")).__name__})
        problem = Problem(500, "internal", "Something went wrong here. It has been logged under the request id; please try again.")
    response = Response(problem.body(), status=problem.status, headers=dict(problem.headers))
    # Django would log each 5xx as an error of its own; a gate that is asked too early is none, and what is one was logged above
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def describe(exc: Exception) -> Problem | None:
    """Return what to tell the caller about an exception, or None when it is a defect of the portal itself."""
    if isinstance(exc, RepoGuardError):
        return Problem(exc.status, exc.code, exc.message, exc.fields, _retry_after(exc.retry_after))
    if isinstance(exc, drf.APIException):
        return _from_drf(exc)
    if isinstance(exc, Http404):
        return Problem(404, "not_found", "There is no such object.")
    if isinstance(exc, PermissionDenied):
        return Problem(403, "not_allowed", "You are not allowed to do this.")
    if isinstance(exc, DjangoValidationError):
        return _from_validation(exc)
    return _from_request(exc) or _from_database(exc)


def _from_drf(exc: drf.APIException) -> Problem:
    headers: dict[str, str] = {}
    if header := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if isinstance(exc, drf.ValidationError):
        fields = _flatten(exc.detail)
        return Problem(400, "invalid", _summary(fields), fields, headers)
    wait = getattr(exc, "wait", None)
    if wait is not None:
        headers |= _retry_after(wait)
    code = str(exc.get_codes()) if isinstance(exc.detail, str) else exc.default_code
    return Problem(exc.status_code, _CODES.get(code, code), _sentence(exc), {}, headers)


def _sentence(exc: drf.APIException) -> str:
    if isinstance(exc, drf.UnsupportedMediaType):
        return "Send the body as JSON with the header Content-Type: application/json."
    if isinstance(exc, drf.NotAuthenticated):
        return "Send an API key with the header Authorization: Bearer <key>."
    if isinstance(exc, drf.MethodNotAllowed):
        return "This path does not take that method; the answer's header Allow lists those it takes."
    if isinstance(exc, drf.NotFound) or not isinstance(exc.detail, str):
        return "There is no such object." if exc.status_code == 404 else str(exc.default_detail)
    return str(exc.detail)


def _from_validation(exc: DjangoValidationError) -> Problem:
    fields = exc.message_dict if hasattr(exc, "error_dict") else {api_settings.NON_FIELD_ERRORS_KEY: exc.messages}
    return Problem(400, "invalid", _summary(fields), fields)


def _from_request(exc: Exception) -> Problem | None:
    if isinstance(exc, RequestDataTooBig):
        return Problem(413, "too_large", "The body is over the limit set by API_MAX_BODY_BYTES.")
    if isinstance(exc, DisallowedHost):
        return Problem(400, "malformed", "This host name is not served here; the setting ALLOWED_HOSTS lists those that are.")
    if isinstance(exc, UnreadablePostError) and isinstance(exc.__cause__, SlowSender):
        return Problem(408, "timed_out", "The body did not arrive in time.")
    if isinstance(exc, SuspiciousOperation | BadRequest | MultiPartParserError | UnreadablePostError):
        return Problem(400, "malformed", "The request can't be read.")
    return None


def _from_database(exc: Exception) -> Problem | None:
    if isinstance(exc, DataError | OverflowError):
        logger.warning("value_not_storable", exc_info=exc)
        return Problem(400, "invalid", "A value is too large or holds characters that can't be stored.")
    if isinstance(exc, DecryptError):
        logger.error("secret_unreadable", exc_info=exc)
        return Problem(503, "unreadable_secret", str(exc))
    if isinstance(exc, OperationalError | InterfaceError):
        logger.error("database_unavailable", exc_info=exc)
        return Problem(
            503, "unavailable", "The database is busy or unreachable; try again shortly.", {}, _retry_after(_DATABASE_RETRY_SECONDS)
        )
    return None


def _retry_after(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(max(1, math.ceil(seconds)))}


def _flatten(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Turn DRF's nested error detail into {dotted path: sentences}."""
    if isinstance(detail, Mapping):
        found: dict[str, list[str]] = {}
        for name, value in detail.items():
            for key, sentences in _flatten(value, f"{path}.{name}" if path else str(name)).items():
                found.setdefault(key, []).extend(sentences)
        return found
    if isinstance(detail, Sequence) and not isinstance(detail, str):
        found = {}
        for index, value in enumerate(detail):
            nested = isinstance(value, Mapping | list)
            for key, sentences in _flatten(value, f"{path}.{index}" if nested and path else str(index) if nested else path).items():
                found.setdefault(key, []).extend(sentences)
        return found
    return {path or api_settings.NON_FIELD_ERRORS_KEY: [str(detail)]}


def _summary(fields: Mapping[str, Sequence[str]]) -> str:
    """Return one sentence that names the wrong fields, the first of them in full."""
    parts = [
        f"{name}: {sentences[0]}" if name not in ("__all__", api_settings.NON_FIELD_ERRORS_KEY) else sentences[0]
        for name, sentences in fields.items()
        if sentences
    ]
    return " ".join(parts[:5]) or "The request is not valid."


def is_api(request: HttpRequest) -> bool:
    """Say whether a request is for the API, so that its errors are JSON."""
    return request.path_info.startswith(API_PREFIX) or request.path_info == API_PREFIX.rstrip("/")


def handler400(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer a request that Django refused."""
    if not is_api(request):
        refused = describe(exception) if isinstance(exception, DisallowedHost) else None
        return HttpResponseBadRequest(refused.message, content_type="text/plain") if refused else defaults.bad_request(request, exception)
    return (describe(exception) or Problem(400, "malformed", "The request can't be read.")).as_response()


def handler403(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer a forbidden request."""
    if not is_api(request):
        return defaults.permission_denied(request, exception)
    return Problem(403, "not_allowed", "You are not allowed to do this.").as_response()


def handler404(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer for a path without a route; for one like //host/api/v1/x, too, the caller is a program."""
    if not is_api(request) and (API_PREFIX not in request.path_info or request.path_info.startswith("/admin/")):
        return defaults.page_not_found(request, exception)
    return Problem(404, "not_found", f"There is nothing at {request.path[:200]}; /docs lists the routes.").as_response()


def handler500(request: HttpRequest) -> HttpResponseBase:
    """Answer after an unexpected error outside DRF; Django has logged it."""
    if not is_api(request):
        return defaults.server_error(request)
    return Problem(500, "internal", "Something went wrong here. It has been logged under the request id; please try again.").as_response()


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form without a valid CSRF token (settings.CSRF_FAILURE_VIEW)."""
    if not is_api(request):
        return django_csrf.csrf_failure(request, reason=reason)
    return Problem(403, "csrf_failed", f"The session's CSRF token is missing or wrong: {reason}").as_response()
