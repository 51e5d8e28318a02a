"""Senders of any kind: an HMAC or a fixed token, in the headers and the form that the source names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from core import signing
from core.errors import InvalidInput
from core.signing import BadSignatureError, Scheme
from integrations.choices import Category
from integrations.connectors.generic.fields import BODY, DEFAULTS, HMAC, SOURCE_FIELDS
from integrations.contract import payloads
from integrations.contract.inbound import InboundEvent, InboundRequest, Receiver, Verified
from integrations.contract.payloads import at, json_object, objects, peek, text

_PLACE = re.compile(r"(\{(?:id|timestamp|body)\})")


class Generic(Receiver):
    """Whatever can send JSON with a signature or a token."""

    key = "generic"
    title = "Any sender"
    description = "Whatever sends JSON with an HMAC or a fixed token, such as Auth0's log streams or a script of your own."
    categories = (Category.DEVELOPMENT, Category.MONITORING, Category.SECURITY, Category.ANALYTICS)
    source_fields = SOURCE_FIELDS

    @classmethod
    def verify(cls, request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> Verified:
        """Check the signature or the token as the source says."""
        config, headers = {**DEFAULTS, **config}, request.headers
        if config["mode"] == HMAC:
            _check_signature(request, secrets, config, now)
        else:
            value, prefix = signing.header_value(headers, _header(config, "token_header")), config["token_prefix"]
            if not value.startswith(prefix):
                raise BadSignatureError(f"{_header(config, 'token_header')} does not begin with {prefix}.")
            signing.check_token(secrets, [value.removeprefix(prefix).strip()])
        event = text(headers.get(_header(config, "event_header"))) or text(at(peek(request.body), *config["event_field"].split(".")))
        return Verified(text(headers.get(_header(config, "id_header"))), event)

    @classmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        """Return one event for a JSON object, and one for each object of an array or of lines, as log streams send them."""
        return [payloads.other("generic", verified.event, record) for record in _records(request.body)]


def _check_signature(request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> None:
    name, stamp_name, template = _header(config, "signature_header"), _header(config, "timestamp_header"), config["template"]
    values = {BODY: request.body}
    if (BODY not in template) or (bool(stamp_name) != ("{timestamp}" in template)):
        raise BadSignatureError("What is signed must hold {body}, and {timestamp} if a timestamp header is named. Correct this source.")
    if stamp_name:
        stamp = signing.header_value(request.headers, stamp_name)
        signing.check_time(stamp, now.timestamp(), config["tolerance"], stamp_name)
        values["{timestamp}"] = stamp.encode()
    if "{id}" in template:
        values["{id}"] = signing.header_value(request.headers, _header(config, "id_header")).encode()
    message = [values.get(part, part.encode(errors="replace")) for part in _PLACE.split(template)]
    scheme = Scheme(name, config["prefix"], config["algorithm"], config["encoding"])
    signing.check_mac(scheme, secrets, request.headers, message)


def _header(config: Mapping[str, Any], field: str) -> str:
    return str(config[field]).lower()


def _records(body: bytes) -> list[dict[str, Any]]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return [json_object(line) for line in body.splitlines() if line.strip()] or [json_object(body)]
    if isinstance(found, list) and len(objects(found)) == len(found):
        return found
    if not isinstance(found, dict):
        raise InvalidInput.of("body", "must be a JSON object, an array of objects, or an object on each line.")
    return [found]
