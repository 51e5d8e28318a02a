"""Calling a service through its integration: by a named endpoint, or freely below its address."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from core import context
from core.errors import Conflict, InvalidInput, OutboundError
from core.http.client import Door
from core.http.door import MEGABYTE
from core.http.masking import Mask
from core.http.web_calls import web_place
from core.models.outbound import CallPurpose
from integrations.calls import connector_for, door_for
from integrations.contract.gateway import GatewayTarget
from integrations.gateway.answer import GatewayAnswer, raise_for_caller, read_answer
from integrations.gateway.endpoints import require_callable
from integrations.gateway.paths import below, check_free, check_template, fill, query_text
from integrations.gateway.schemas import check_value
from integrations.models import Endpoint, Integration
from integrations.models.endpoint import Method

MAX_ANSWER = 10 * MEGABYTE
MAX_BODY = MEGABYTE
MAX_QUERY = 100
MAX_VALUE = 2000
SHORTEST_SECRET = 6
# what a caller may say; credentials, framing and the way the request came are the portal's
FREE_HEADERS = frozenset(
    {"accept", "accept-language", "content-type", "idempotency-key", "if-match", "if-unmodified-since", "prefer", "soapaction"}
    | {"traceparent", "x-github-api-version", "x-request-id"}
)
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,1000}")


@dataclass(frozen=True)
class FreeCall:
    """A call that a caller makes up: a path below the integration's address, with what goes along."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True)
class _Call:
    method: str
    url: str = field(repr=False)
    query: list[tuple[str, str]] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    endpoint: str = ""
    cache_seconds: int = 0


def call_endpoint(endpoint: Endpoint, parameters: Any, body: Any = None) -> GatewayAnswer:
    """Make the call that an endpoint describes; no transaction may be open.

    Raises InvalidInput for parameters or a body that do not fit, Conflict where the endpoint or its integration is switched
    off, OutboundError where there is no good answer (502, 503 with retry_after, or 504), and Unavailable where this process
    waits for as many answers as it may.
    """
    integration = endpoint.integration
    if not endpoint.enabled:
        raise Conflict(f"The endpoint {endpoint.name} is switched off.", code="disabled")
    base = _base_url(integration)
    values = _checked_parameters(endpoint, parameters)
    names = check_template(endpoint.path)
    url = below(base, fill(endpoint.path, {name: _text(values[name], f"parameters.{name}") for name in names}), "parameters")
    query = _pairs(endpoint.fixed_query, "fixed_query")
    query += _pairs({name: value for name, value in values.items() if name not in names}, "parameters")
    _check_body(endpoint, body)
    headers = {"Accept": "application/json, */*;q=0.5"}
    content = _content(integration, body, headers)
    return _send(integration, _Call(endpoint.method, url, query, headers, content, endpoint.name, endpoint.cache_seconds))


def call_freely(integration: Integration, free: FreeCall) -> GatewayAnswer:
    """Make a call below the integration's address; no transaction may be open. Raises as call_endpoint() does."""
    base = _base_url(integration)
    if free.method not in Method.values:
        raise InvalidInput.of("method", f"must be one of {', '.join(Method.values)}.")
    url = below(base, check_free(free.path))
    headers = _free_headers(free.headers)
    if free.body is not None and free.method == Method.GET:
        raise InvalidInput.of("body", "is not for GET.")
    content = _content(integration, free.body, headers)
    return _send(integration, _Call(free.method, url, _pairs(free.query, "query"), headers, content))


def _send(integration: Integration, call: _Call) -> GatewayAnswer:
    door = door_for(integration, CallPurpose.GATEWAY, call.endpoint)
    door.terms = replace(door.terms, max_body=MAX_ANSWER)
    started = time.monotonic()
    try:
        with web_place():
            reply = door.request(
                call.method, call.url, params=call.query, headers=call.headers, body=call.body, cache_seconds=call.cache_seconds
            )
        cast("GatewayTarget", connector_for(integration, CallPurpose.GATEWAY)).interpret(reply)
    except OutboundError as error:
        raise_for_caller(error, _mask(door))
    return read_answer(reply, _mask(door), (time.monotonic() - started) * 1000, context.request_id())


def _mask(door: Door) -> Mask:
    # of a shorter one, any answer holds copies by chance
    return Mask([secret for secret in door.auth.secrets() if len(secret) >= SHORTEST_SECRET])


def _base_url(integration: Integration) -> str:
    connector = require_callable(integration)
    try:
        return connector.base_url(integration.config)
    except KeyError:
        raise Conflict(f"{integration.name} has no address to call; complete its configuration.", code="incomplete") from None


def _checked_parameters(endpoint: Endpoint, parameters: Any) -> dict[str, Any]:
    if not isinstance(parameters, dict):
        raise InvalidInput.of("parameters", "must be a JSON object of names and values.")
    declared = endpoint.parameters.get("properties", {})
    unknown = [name for name in parameters if name not in declared]
    if unknown:
        known = f"Known here: {', '.join(declared)}." if declared else "There are none."
        raise InvalidInput.of(f"parameters.{ascii(unknown[0])[1:-1][:100]}", f"is no parameter of {endpoint.name}. {known}")
    check_value({"type": "object", **endpoint.parameters}, parameters, "parameters")
    return parameters


def _check_body(endpoint: Endpoint, body: Any) -> None:
    if endpoint.body_schema is None:
        if body is not None:
            raise InvalidInput.of("body", f"{endpoint.name} takes no body.")
        return
    if body is None and not _may_be_null(endpoint.body_schema):
        raise InvalidInput.of("body", f"must be given: {endpoint.name} takes one.")
    check_value(endpoint.body_schema, body, "body")


def _may_be_null(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "null" or (isinstance(kind, list) and "null" in kind)


def _content(integration: Integration, body: Any, headers: dict[str, str]) -> bytes | None:
    """Return the bytes of a body and add to `headers` what they are, unless the caller said it."""
    if body is None:
        return None
    if "Content-Type" not in headers:
        own = require_callable(integration).text_headers(integration.config) if isinstance(body, str) else {}
        given = {name.lower() for name in headers}
        headers |= {"Content-Type": "application/json"} | {name: value for name, value in own.items() if name.lower() not in given}
    as_text = isinstance(body, str) and "json" not in headers["Content-Type"].lower()
    try:
        content = body.encode() if as_text else json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise InvalidInput.of("body", "holds something that can't be sent.") from None
    if len(content) > MAX_BODY:
        raise InvalidInput.of("body", f"has {len(content)} bytes; at most {MAX_BODY} are sent on.", code="too_large")
    return content


def _free_headers(given: Mapping[str, Any]) -> dict[str, str]:
    headers: dict[str, str] = {"Accept": "application/json, */*;q=0.5"}
    for name, value in given.items():
        if name.lower() not in FREE_HEADERS:
            raise InvalidInput.of("headers", f"{ascii(name)[1:-1][:60]} can't be set; allowed are {', '.join(sorted(FREE_HEADERS))}.")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise InvalidInput.of("headers", f"{name}: must be a text of at most 1000 printable ASCII characters.")
        proper = "-".join(word.capitalize() for word in name.lower().split("-"))
        headers[proper] = value
    return headers


def _pairs(values: Mapping[str, Any], field: str) -> list[tuple[str, str]]:
    """Return query parameters; a list becomes the same name several times, null is left out."""
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        place = f"{field}.{ascii(name)[1:-1][:100]}"
        if not name or len(name) > 100:
            raise InvalidInput.of(field, "a parameter's name has 1 to 100 characters.")
        query_text(name, place)
        items: Iterable[Any] = value if isinstance(value, list) else [] if value is None else [value]
        pairs += [(name, query_text(_text(item, place), place)) for item in items]
    if len(pairs) > MAX_QUERY:
        raise InvalidInput.of(field, f"has more than {MAX_QUERY} values.")
    return pairs


def _text(value: Any, field: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        text = str(value)
        if len(text) <= MAX_VALUE:
            return text
        raise InvalidInput.of(field, f"is longer than {MAX_VALUE} characters.")
    raise InvalidInput.of(field, "must be a text, a number, true or false.")
