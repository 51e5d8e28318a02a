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
from integrations.contract.inbound import InboundEvent, InboundRequest, Verified
from integrations.contract.payloads import at, json_object, objects, peek, text
from integrations.contract.simulated import Message, Signed, Simulated, read_samples

_PLACE = re.compile(r"(\{(?:id|timestamp|body)\})")


class Generic(Simulated):
    """Whatever can send JSON with a signature or a token."""

    key = "generic"
    title = "Any sender"
    description = "Whatever sends JSON with an HMAC or a fixed token, such as Auth0's log streams or a script of your own."
    categories = (Category.DEVELOPMENT, Category.MONITORING, Category.SECURITY, Category.ANALYTICS)
    source_fields = SOURCE_FIELDS
    samples = read_samples(__file__)
    key_help = "The key of the signature, or the token that is sent."

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
    def sign(cls, message: Message, secret: str, config: Mapping[str, Any]) -> Signed:
        """Return the signature or the token, and time, id and event in the headers that the source has for them."""
        config = {**DEFAULTS, **config}
        named = {"id_header": message.id, "event_header": message.event}
        headers = {config[field]: value for field, value in named.items() if config[field]}
        if config["mode"] != HMAC:
            return Signed({**headers, config["token_header"]: signing.prefixed(config["token_prefix"], secret)})
        if "{id}" in config["template"] and not config["id_header"]:
            raise InvalidInput.of("config.id_header", "must be given: what is signed holds {id}.")
        if config["timestamp_header"]:
            headers[config["timestamp_header"]] = str(message.stamp)
        values = {"{body}": message.body, "{timestamp}": str(message.stamp).encode(), "{id}": message.id.encode()}
        proof = signing.mac_value(_scheme(config), secret, _message(config, values))
        return Signed({**headers, config["signature_header"]: proof})

    @classmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        """Return one event for a JSON object, and one for each object of an array or of lines, as log streams send them."""
        return [payloads.other("generic", verified.event, record) for record in _records(request.body)]


def _check_signature(request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> None:
    stamp_name, template = _header(config, "timestamp_header"), config["template"]
    values = {BODY: request.body}
    if (BODY not in template) or (bool(stamp_name) != ("{timestamp}" in template)):
        raise BadSignatureError("What is signed must hold {body}, and {timestamp} if a timestamp header is named. Correct this source.")
    if stamp_name:
        stamp = signing.header_value(request.headers, stamp_name)
        signing.check_time(stamp, now.timestamp(), config["tolerance"], stamp_name)
        values["{timestamp}"] = stamp.encode()
    if "{id}" in template:
        values["{id}"] = signing.header_value(request.headers, _header(config, "id_header")).encode()
    signing.check_mac(_scheme(config), secrets, request.headers, _message(config, values))


def _scheme(config: Mapping[str, Any]) -> Scheme:
    return Scheme(_header(config, "signature_header"), config["prefix"], config["algorithm"], config["encoding"])


def _message(config: Mapping[str, Any], values: Mapping[str, bytes]) -> list[bytes]:
    return [values.get(part, part.encode(errors="replace")) for part in _PLACE.split(config["template"])]


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
