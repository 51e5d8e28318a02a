"""What a source of any kind has to say about its sender."""

from __future__ import annotations

from typing import Any

from integrations.contract.fields import Field, FieldKind

HMAC, TOKEN = "hmac", "token"
BODY = "{body}"
_NAME = "[A-Za-z0-9-]{1,100}"
_ONLY_HMAC, _ONLY_TOKEN = ("mode", (HMAC,)), ("mode", (TOKEN,))

SOURCE_FIELDS = (
    Field("mode", "How the sender proves itself", FieldKind.CHOICE, required=True, default=HMAC,
          choices=((HMAC, "Signature (HMAC)"), (TOKEN, "Fixed token"))),
    Field("signature_header", "Header of the signature", default="X-Signature", pattern=_NAME, only_if=_ONLY_HMAC),
    Field("prefix", "Prefix", max_length=40, placeholder="sha256=", only_if=_ONLY_HMAC, help="What stands before the signature."),
    Field("algorithm", "Algorithm", FieldKind.CHOICE, default="sha256", only_if=_ONLY_HMAC,
          choices=(("sha256", "SHA-256"), ("sha512", "SHA-512"), ("sha1", "SHA-1"))),
    Field("encoding", "Encoding", FieldKind.CHOICE, default="hex", choices=(("hex", "Hex"), ("base64", "Base64")), only_if=_ONLY_HMAC),
    Field("timestamp_header", "Header of the time", pattern=_NAME, placeholder="X-Timestamp", only_if=_ONLY_HMAC,
          help="In Unix seconds. The time must be part of what is signed."),
    Field("tolerance", "Tolerance in seconds", FieldKind.INTEGER, default=300, low=1, high=3600, only_if=_ONLY_HMAC,
          help="How far the time may lie from ours, before or after."),
    Field("template", "What is signed", default=BODY, max_length=200, pattern=r".*\{body\}.*", example="{timestamp}.{body}",
          only_if=_ONLY_HMAC, help="{body}, {timestamp} and {id} stand for the body and the values of their headers."),
    Field("token_header", "Header of the token", default="Authorization", pattern=_NAME, only_if=_ONLY_TOKEN),
    Field("token_prefix", "Prefix of the token", max_length=40, placeholder="Bearer", only_if=_ONLY_TOKEN,
          help="What stands before the token; blanks after it are passed over."),
    Field("id_header", "Header of the delivery's id", pattern=_NAME, placeholder="X-Request-Id",
          help="A delivery whose id was processed before is not processed again."),
    Field("event_header", "Header of the event's name", pattern=_NAME, placeholder="X-Event"),
    Field("event_field", "Field of the event's name", max_length=100, placeholder="event.type",
          help="Names in the JSON body, joined by dots; asked for where the header gives none."),
)  # fmt: skip
DEFAULTS: dict[str, Any] = {field.name: "" if field.default is None else field.default for field in SOURCE_FIELDS}
