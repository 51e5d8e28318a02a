"""The values of a webhook: what may be set, and the rules for each. API, admin and commands all pass through here."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypedDict, cast

from core.errors import InvalidInput
from core.event_types import MAX_NAME, check_pattern
from core.fields import DecryptError
from core.http.custom_headers import check_headers
from core.http.guard import clean_url
from integrations.models import Integration, Repository
from templates_app.models import PayloadTemplate
from webhooks.choices import Lane, WebhookStatus
from webhooks.destinations.checks import Route, checked_route
from webhooks.destinations.templates import template_errors
from webhooks.filters import check_filter
from webhooks.models import Webhook
from webhooks.retry import check_retry_config
from webhooks.routing.checking import check_routing

MAX_EVENTS = 100
MAX_REPOSITORIES = 500
MAX_CONCURRENCY = 500
MIN_RATE, MAX_RATE = 0.01, 10_000.0
MAX_WEBHOOK_NAME = 100


class WebhookValues(TypedDict, total=False):
    """What a caller may set; a key that is absent keeps the value (or takes the default)."""

    name: str
    url: str
    integration: Integration | None
    destination: dict[str, Any]
    payload_template: PayloadTemplate | None
    events: list[str]
    filter: dict[str, Any] | None
    routing: dict[str, Any] | None
    status: str
    headers: dict[str, str] | None
    retry_config: dict[str, Any] | None
    rate_limit: float | None
    concurrency: int
    priority: int
    repositories: Collection[Repository]
    owner_id: uuid.UUID | None


def checked(values: WebhookValues, stored: Webhook | None = None) -> WebhookValues:
    """Return the values in the form they are stored in; raises one InvalidInput that names every wrong field.

    `stored` is the webhook they are for: header values that are masked stand for its own.
    """
    result, errors = _each_checked(values, stored)
    if not {"url", "integration", "destination"} & errors.keys():
        try:
            result |= checked_route(result, route_of(stored), _owner_id(values, stored))
        except InvalidInput as error:
            _collect(errors, error)
        else:
            errors |= template_errors(result, stored, _owner_id(values, stored))
    if errors:
        raise InvalidInput(" ".join(f"{field}: {sentences[0]}" for field, sentences in errors.items()), fields=errors)
    return cast("WebhookValues", result)


def field_errors(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with each of these fields by itself; where the webhook sends to through an integration is not asked."""
    return _each_checked(values, None)[1]


def _each_checked(values: Mapping[str, Any], stored: Webhook | None) -> tuple[dict[str, Any], dict[str, list[str]]]:
    result, errors = dict(values), dict[str, list[str]]()
    for field, check in _CHECKS.items():
        if field not in values:
            continue
        try:
            result[field] = check(values[field])
        except InvalidInput as error:
            _collect(errors, error)
    if "headers" in values:
        try:
            result["headers"] = check_headers(values["headers"], stored_headers(stored))
        except InvalidInput as error:
            _collect(errors, error)
    return result, errors


def route_of(webhook: Webhook | None) -> Route | None:
    """Return where a webhook sends at present."""
    return None if webhook is None else Route(webhook.url, webhook.integration, webhook.destination)


def _owner_id(values: WebhookValues, stored: Webhook | None) -> uuid.UUID | None:
    return values.get("owner_id", stored.owner_id if stored else None)


def _collect(errors: dict[str, list[str]], error: InvalidInput) -> None:
    for field, sentences in error.fields.items():
        errors.setdefault(field, []).extend(sentences)


def _name(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > MAX_WEBHOOK_NAME or not text.isprintable():
        raise InvalidInput.of("name", f"must be a text of 1 to {MAX_WEBHOOK_NAME} printable characters.")
    return text


def _url(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidInput.of("url", "must be a text such as https://example.com/hook.")
    return clean_url(value, "url") if value else ""


def _events(value: object) -> list[str]:
    if not isinstance(value, list) or not value or len(value) > MAX_EVENTS:
        raise InvalidInput.of("events", f'must be a list of 1 to {MAX_EVENTS} event types, such as ["finding.opened", "scan.*"].')
    for pattern in value:
        if not isinstance(pattern, str) or len(pattern) > MAX_NAME:
            raise InvalidInput.of("events", f"must hold texts of at most {MAX_NAME} characters.")
        check_pattern(pattern)
    return list(dict.fromkeys(value))


def _status(value: object) -> str:
    if value not in WebhookStatus.values:
        raise InvalidInput.of("status", f"must be one of {', '.join(WebhookStatus.values)}.")
    return str(value)


def _rate_limit(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not MIN_RATE <= value <= MAX_RATE:
        raise InvalidInput.of("rate_limit", f"must be a number of deliveries a second from {MIN_RATE} to {MAX_RATE:.0f}, or null for none.")
    return float(value)


def _concurrency(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_CONCURRENCY:
        raise InvalidInput.of("concurrency", f"must be a whole number from 1 to {MAX_CONCURRENCY}.")
    return value


def _priority(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value not in Lane.values:
        raise InvalidInput.of("priority", f"must be one of {', '.join(Lane.labels)}.")
    return int(value)


def _repositories(value: Any) -> list[Repository]:
    rows = list(value)
    if len(rows) > MAX_REPOSITORIES:
        raise InvalidInput.of("repositories", f"must hold at most {MAX_REPOSITORIES} repositories.")
    return list({row.id: row for row in rows}.values())


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "url": _url,
    "events": _events,
    "filter": check_filter,
    "routing": check_routing,
    "status": _status,
    "retry_config": check_retry_config,
    "rate_limit": _rate_limit,
    "concurrency": _concurrency,
    "priority": _priority,
    "repositories": _repositories,
}


def stored_headers(webhook: Webhook | None) -> dict[str, str] | None:
    """Return the stored headers; those that can't be decrypted any more count as none, so that new ones can replace them."""
    try:
        return cast("dict[str, str] | None", webhook.headers) if webhook else None
    except DecryptError:
        return None
