"""Bodies of the requests that tell a GraphQL or SOAP service about an event."""

from __future__ import annotations

import json
import re
from xml.sax.saxutils import escape

from core.times import utc_text
from integrations.contract.outbound import OutgoingEvent

_PLACE = re.compile(r"\{(id|type|timestamp|data)\}")
_VARIABLES = ("id", "type", "data")


def graphql_body(mutation: str, event: OutgoingEvent) -> bytes:
    """Return the JSON of a mutation with the event, to the byte, as its variable `$event`, and the parts that it names."""
    parts = [b'"event":' + event.body]
    for name in _VARIABLES:
        if re.search(rf"\${name}\b", mutation):
            parts.append(f'"{name}":{_json(_value(event, name))}'.encode())
    return b'{"query":' + _json(mutation).encode() + b',"variables":{' + b",".join(parts) + b"}}"


def soap_body(envelope: str, event: OutgoingEvent) -> bytes:
    """Return the envelope with the event's parts in their places, escaped."""

    def part(match: re.Match[str]) -> str:
        value = _value(event, match[1])
        return escape(value if isinstance(value, str) else _json(value), {'"': "&quot;", "'": "&apos;"})

    return _PLACE.sub(part, envelope).encode()


def _value(event: OutgoingEvent, name: str) -> object:
    if name == "timestamp":
        return utc_text(event.timestamp)
    return event.data if name == "data" else event.type if name == "type" else str(event.id)


def _json(value: object) -> str:
    # plain ASCII: XML can't carry every character that JSON can escape
    return json.dumps(value, separators=(",", ":"))
