"""What the generic connector asks for."""

from __future__ import annotations

from django.db import models

from integrations.auth import AUTH_FIELDS
from integrations.contract.fields import Field, FieldKind


class Style(models.TextChoices):
    """What the service speaks."""

    REST = "rest", "REST (JSON or anything else)"
    GRAPHQL = "graphql", "GraphQL"
    SOAP = "soap", "SOAP"


_STATUS = r"[1-5]\d\d(-[1-5]\d\d)?"
_PATH = r"[^?#\s]*"
_REST, _GRAPHQL, _SOAP = (("kind", (style.value,)) for style in Style)

HTTP_FIELDS: tuple[Field, ...] = (
    Field("base_url", "Address", FieldKind.URL, required=True, placeholder="https://api.example.com/v1",
          help="Of the service, or of its one endpoint for GraphQL and SOAP. Paths are appended to it."),
    Field("kind", "Protocol", FieldKind.CHOICE, choices=tuple(Style.choices), default=Style.REST.value),
    Field("health_method", "Method of the check", FieldKind.CHOICE, choices=(("GET", "GET"), ("HEAD", "HEAD"), ("POST", "POST")),
          default="GET", only_if=_REST),
    Field("health_path", "Path of the check", max_length=1000, pattern=_PATH, placeholder="/health",
          help="Appended to the address; empty asks for the address itself."),
    Field("health_query", "Query of the check", FieldKind.MAPPING, max_length=500, only_if=_REST),
    Field("health_graphql", "GraphQL query of the check", FieldKind.MULTILINE, max_length=10_000, default="{ __typename }",
          only_if=_GRAPHQL,
          help="It must change nothing: it is sent again and again."),
    Field("health_soap", "SOAP envelope of the check", FieldKind.MULTILINE, max_length=50_000, required=True, only_if=_SOAP,
          example='<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><Ping/></soap:Body></soap:Envelope>',
          help="It must change nothing: it is sent again and again."),
    Field("soap_action", "SOAPAction of the check", max_length=500, pattern=r"[\x20-\x21\x23-\x7e]*", only_if=_SOAP,
          help="The header that SOAP 1.1 wants; empty for services that look at the body."),
    Field("expected_status", "Expected statuses", FieldKind.WORDS, default=("200-299",), pattern=_STATUS, max_length=7,
          placeholder="200-299", help="Of the check: numbers and ranges."),
    Field("health_jsonpath", "JSONPath that must match", max_length=500, placeholder="$.status",
          help="RFC 9535, on the answer of the check; without the functions match and search."),
    Field("health_value", "Value that it must find", max_length=500, placeholder="ok", help="As text, such as ok, true or 3. Empty: any."),
    Field("headers", "Headers", FieldKind.MAPPING, max_length=4000, help="On every call, such as Accept. No secrets: they are shown."),
    *AUTH_FIELDS,
    Field("secret_headers", "Secret headers", FieldKind.MAPPING, secret=True, max_length=4000,
          help="Added to every call, over the ones above."),
)  # fmt: skip

DESTINATION_FIELDS: tuple[Field, ...] = (
    Field("path", "Path", max_length=1000, pattern=_PATH, placeholder="/events", help="Appended to the integration's address."),
    Field("method", "Method", FieldKind.CHOICE, choices=(("POST", "POST"), ("PUT", "PUT"), ("PATCH", "PATCH")), default="POST",
          only_if=_REST),
    Field("graphql", "GraphQL mutation", FieldKind.MULTILINE, required=True, max_length=10_000, only_if=_GRAPHQL,
          example="mutation($event: JSON!) { record(event: $event) { id } }",
          help="The whole event is its variable $event; $id, $type and $data are there as well, where the mutation names them."),
    Field("soap", "SOAP envelope", FieldKind.MULTILINE, required=True, max_length=50_000, only_if=_SOAP,
          example="<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><Notify>{data}</Notify></soap:Body>"
                  "</soap:Envelope>",
          help="{id}, {type}, {timestamp} and {data} (JSON) are replaced by the event's, escaped for XML."),
    Field("soap_action", "SOAPAction", max_length=500, pattern=r"[\x20-\x21\x23-\x7e]*", only_if=_SOAP),
)  # fmt: skip
