"""The generic connector keeps to the contract in each of its forms."""

from __future__ import annotations

from typing import Any

from integrations.connectors.http.connector import HttpConnector
from integrations.contract.schema import validate_options, validate_values
from tests.connectors.contract import ConnectorContract
from tests.connectors.door import Answer

ENVELOPE = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{}</s:Body></s:Envelope>'


class TestRest(ConnectorContract):
    connector = HttpConnector
    good_answers = (Answer(200, b'{"status": "ok"}'),)


class TestRestWithoutCredentials(ConnectorContract):
    connector = HttpConnector

    def values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return validate_values(HttpConnector, {"base_url": "https://api.example.com/"}, {})

    def reads_no_body(self) -> bool:
        return True


class TestGraphQL(ConnectorContract):
    connector = HttpConnector
    good_answers = (Answer(200, b'{"data": {"__typename": "Query"}}'),)

    def values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        config = {"base_url": "https://api.example.com/graphql", "kind": "graphql", "auth": "api_key", "api_key_in": "query"}
        return validate_values(HttpConnector, config, {"api_key": "k", "secret_headers": {"X-Second": "s"}})

    def options(self) -> dict[str, Any]:
        return validate_options(HttpConnector, {"graphql": "mutation($event: JSON!) { tell(event: $event) }"}, config=self.values()[0])


class TestSoap(ConnectorContract):
    connector = HttpConnector
    good_answers = (Answer(200, ENVELOPE.format("<Pong/>").encode()),)

    def values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        config = {"base_url": "https://soap.example.com/service", "kind": "soap", "health_soap": ENVELOPE.format("<Ping/>")}
        return validate_values(HttpConnector, config | {"auth": "basic", "username": "me"}, {"password": "p"})

    def options(self) -> dict[str, Any]:
        return validate_options(HttpConnector, {"soap": ENVELOPE.format("<Tell>{data}</Tell>")}, config=self.values()[0])


class TestOAuth2(ConnectorContract):
    connector = HttpConnector
    good_answers = (Answer(200, b"{}"),)
    repeats_are_harmless = True  # the receiver knows the Idempotency-Key

    def values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        config = {"base_url": "https://api.example.com/", "auth": "oauth2_client_credentials", "oauth_client_id": "me"}
        token_url = {"oauth_token_url": "https://login.example.com/token", "health_jsonpath": "$"}
        return validate_values(HttpConnector, config | token_url, {"oauth_client_secret": "s"})
