"""The generic connector."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from core.http.door import Auth, BadAnswer, Outgoing, Reply
from integrations.auth import configured_auth, dressed, is_oauth2, static_auth
from integrations.choices import Category
from integrations.connectors.http.answers import Reader, explained, is_fault
from integrations.connectors.http.bodies import graphql_body, soap_body
from integrations.connectors.http.fields import DESTINATION_FIELDS, HTTP_FIELDS, Style
from integrations.connectors.http.rules import config_errors, join, option_errors, statuses
from integrations.contract.connector import Checker, CheckResult, ExtraHeaders
from integrations.contract.gateway import GatewayTarget
from integrations.contract.outbound import (
    CallDestination,
    DestinationAnswer,
    DestinationKind,
    DestinationRequest,
    HttpDestination,
    Memory,
    Outcome,
    OutgoingEvent,
)
from integrations.contract.signin import OAuthApp

_CONTENT_TYPES = {Style.REST: "application/json", Style.GRAPHQL: "application/json", Style.SOAP: "text/xml; charset=utf-8"}


class HttpConnector(Checker, GatewayTarget, HttpDestination, CallDestination):
    """A REST, GraphQL or SOAP service: checked, called through the gateway, and told about events.

    As a destination it is one request on the event loop, but for OAuth2, whose token may first have to be fetched.
    """

    key = "http"
    title = "Any HTTP service"
    description = "A REST, GraphQL or SOAP endpoint: check it, call it through the portal, send events to it."
    categories = (
        Category.DEVELOPMENT,
        Category.COMMUNICATION,
        Category.STORAGE,
        Category.ANALYTICS,
        Category.SECURITY,
        Category.MONITORING,
    )
    fields = HTTP_FIELDS
    destination_fields = DESTINATION_FIELDS
    signed = True
    takes_templates = True
    example = {
        "config": {"base_url": "https://api.example.com/v1", "health_path": "/health", "health_jsonpath": "$.status", "auth": "bearer"},
        "credentials": {"token": "an-access-token"},
        "destination": {"path": "/events"},
    }

    # --- What is configured ---

    @classmethod
    def validate(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check what fields say together."""
        return config_errors(config, credentials)

    @classmethod
    def validate_options(cls, options: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, list[str]]:
        """Check that the path makes a URL, and the envelope XML."""
        return option_errors(options, config)

    @classmethod
    def auth(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth | OAuthApp:
        """Return what the sign-in fields say."""
        return configured_auth(config, credentials, config["base_url"])

    @classmethod
    def extra_headers(cls, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> ExtraHeaders:
        """Return the configured headers."""
        return ExtraHeaders(config.get("headers", {}), credentials.get("secret_headers", {}))

    # --- Check and gateway ---

    def check(self) -> CheckResult:
        """Ask what is configured for the check, and look into the answer."""
        try:
            reply = self._ask()
        except BadAnswer as error:
            raise explained(error) from error
        reader = self._reader()
        reader.check(reply)
        if path := self.config.get("health_jsonpath"):
            reader.check_path(path, self.config.get("health_value", ""), reply)
        host = urlsplit(self.config["base_url"]).hostname or ""
        return CheckResult(f"{host} answered {reply.status}, as expected.", {"status": reply.status, "bytes": len(reply.body)})

    def _ask(self) -> Reply:
        style, url = self.config["kind"], join(self.config["base_url"], self.config.get("health_path", ""))
        expected = statuses(self.config["expected_status"])
        headers = {"Accept": "*/*"}
        if style == Style.REST:
            params = dict(self.config.get("health_query", {}))
            method = self.config["health_method"]
            return self.door.request(method, url, params=params, headers=headers, expected=expected, repeatable=True)
        headers["Content-Type"] = _CONTENT_TYPES[style]
        if style == Style.GRAPHQL:
            body = json.dumps({"query": self.config["health_graphql"]}).encode()
            return self.door.request("POST", url, headers=headers, body=body, expected=expected, repeatable=True)
        headers["SOAPAction"] = f'"{self.config.get("soap_action", "")}"'
        envelope = self.config["health_soap"].encode()
        # SOAP 1.1 sends faults with 500; their text says more than the status
        reply = self.door.request("POST", url, headers=headers, body=envelope, expected={*expected, 500}, repeatable=True)
        if reply.status == 500 and 500 not in expected and not is_fault(reply.body):
            raise BadAnswer(
                "The service answered 500 Internal Server Error. Read its log.", status_code=500, body=self.shown(reply.text()).encode()
            )
        return reply

    @classmethod
    def base_url(cls, config: Mapping[str, Any]) -> str:
        """Return the configured address."""
        return str(config["base_url"]).rstrip("/")

    @classmethod
    def text_headers(cls, config: Mapping[str, Any]) -> Mapping[str, str]:
        """Return what a SOAP envelope travels with; to other services a text is JSON."""
        if config.get("kind") != Style.SOAP:
            return {}
        return {"Content-Type": _CONTENT_TYPES[Style.SOAP], "SOAPAction": f'"{config.get("soap_action", "")}"'}

    def interpret(self, reply: Reply) -> None:
        """Find GraphQL errors and SOAP faults in answers with a good status."""
        self._reader().check(reply)

    def _reader(self) -> Reader:
        return Reader(self.config["kind"], self.shown)

    # --- Destination ---

    @classmethod
    def destination_kind(cls, config: Mapping[str, Any]) -> DestinationKind:
        """Return CALL for OAuth2, else HTTP."""
        return DestinationKind.CALL if is_oauth2(config) else DestinationKind.HTTP

    def build(self, event: OutgoingEvent, options: Mapping[str, Any]) -> DestinationRequest:
        """Return the event's request with the credentials on it, to be signed as any webhook is."""
        request = self._request(event, options)
        dressed(static_auth(self.config, self.credentials), self.extra_headers(self.config, self.credentials)).apply(request)
        url = request.url + (f"?{urlencode(request.params)}" if request.params else "")
        return DestinationRequest(url, request.headers, request.body or b"", request.method)

    def judge(self, answer: DestinationAnswer) -> Outcome | None:
        """Find GraphQL errors and SOAP faults."""
        return self._reader().judge(answer)

    def send(self, event: OutgoingEvent, options: Mapping[str, Any], memory: Memory) -> Outcome:
        """Send the event through the door, which has the token. The receiver knows a repeated one by its id, as with any webhook."""
        request = self._request(event, options)
        # a fault is read here; other answers with 500 are judged by the status rules
        expected: Collection[int] = {*range(200, 300), 500} if self.config["kind"] == Style.SOAP else range(200, 300)
        reply = self.door.request(request.method, request.url, headers=request.headers, body=request.body, expected=expected)
        answer = DestinationAnswer(reply.status, reply.headers, reply.body)
        if (outcome := self.judge(answer)) is not None:
            return outcome
        if reply.status >= 300:
            raise BadAnswer(
                f"The service answered {reply.status}. Read its log.", status_code=reply.status, body=self.shown(reply.text()).encode()
            )
        return Outcome(ok=True, status=reply.status)

    def _request(self, event: OutgoingEvent, options: Mapping[str, Any]) -> Outgoing:
        style = self.config["kind"]
        headers = {"Content-Type": _CONTENT_TYPES[style], "Idempotency-Key": str(event.id)}
        method, body = "POST", event.body
        if style == Style.REST:
            method = options.get("method", "POST")
        elif style == Style.GRAPHQL:
            body = graphql_body(options["graphql"], event)
        else:
            headers["SOAPAction"] = f'"{options.get("soap_action", "")}"'
            body = soap_body(options["soap"], event)
        return Outgoing(method, join(self.config["base_url"], options.get("path", "")), headers=headers, body=body)
