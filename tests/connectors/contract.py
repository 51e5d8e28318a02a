"""What every connector must keep to. A connector's tests inherit from ConnectorContract and name the connector.

    class TestAcme(ConnectorContract):
        connector = Acme

Tests of capabilities that a connector lacks are left out; what can't be made from the fields' examples is overridden.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import traceback
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import InvalidInput, NotAllowed, OutboundError
from core.http.door import Auth, NoAuth, Outgoing, Throttled
from integrations.auth import dressed
from integrations.contract.connector import Checker, CheckResult, Connector, Context
from integrations.contract.declarations import problems
from integrations.contract.describe import describe, example
from integrations.contract.gateway import GatewayTarget
from integrations.contract.inbound import InboundRequest, Receiver, Verified
from integrations.contract.outbound import (
    CallDestination,
    Destination,
    DestinationAnswer,
    DestinationKind,
    DestinationRequest,
    HttpDestination,
    Outcome,
    OutgoingEvent,
    Remembered,
    Reserved,
)
from integrations.contract.schema import (
    config_schema,
    credentials_schema,
    destination_schema,
    form_fields,
    source_schema,
    validate_options,
    validate_values,
)
from integrations.contract.signin import OAuthApp
from tests.connectors.door import GARBAGE, TIMED_OUT, Answer, FakeDoor

T = TypeVar("T")
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
PLANTED = "planted-Ju5tAs3cret"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
fuzz = settings(max_examples=int(os.environ.get("CONTRACT_EXAMPLES", "20")), deadline=None, suppress_health_check=list(HealthCheck))


class DictMemory:
    """A destination's memory, in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Remembered] = {}

    def get(self, key: str) -> str | None:
        return self.kept.get(key, Remembered("")).external_id or None

    def put(self, key: str, external_id: str, data: Mapping[str, Any] | None = None) -> None:
        if self.get(key) is None:
            self.replace(key, external_id, data)

    def recall(self, key: str) -> Remembered | None:
        return self.kept.get(key)

    def reserve(self, key: str, holder: str) -> Reserved:
        found = self.kept.setdefault(key, Remembered("", {"holder": holder, "new": True}))
        if found.external_id:
            return Reserved.MADE
        if found.data["holder"] != holder:
            return Reserved.BUSY
        if found.data.get("new"):
            self.kept[key] = Remembered("", {"holder": holder})
            return Reserved.FIRST
        return Reserved.AGAIN

    def replace(self, key: str, external_id: str, data: Mapping[str, Any] | None = None) -> None:
        assert len(key) <= 200
        assert 0 < len(external_id) <= 500
        self.kept[key] = Remembered(external_id, json.loads(json.dumps(data or {})))

    def latest(self, key: str, order: str, data: Mapping[str, Any] | None = None) -> Remembered:
        if self.kept.get(key, Remembered("")).external_id <= order:
            self.replace(key, order, data)
        return self.kept[key]

    def forget(self, key: str) -> None:
        self.kept.pop(key, None)


class BusyMemory(DictMemory):
    """A memory in which somebody else is at everything."""

    def reserve(self, key: str, holder: str) -> Reserved:
        return Reserved.BUSY


def event(**more: Any) -> OutgoingEvent:
    """Return an event as the engine hands it out."""
    data = more.pop("data", {"repository": {"full_name": "acme/shop"}, "text": 'ü <b>&</b> \u2028 "quoted"'})
    values: dict[str, Any] = {"id": uuid.UUID(int=7), "type": "gate.failed", "timestamp": NOW, "about": "github:acme/shop"} | more
    body = json.dumps({"id": str(values["id"]), "type": values["type"], "timestamp": "2026-05-04T12:00:00.000Z", "data": data}).encode()
    return OutgoingEvent(data=data, body=body, **values)


def tried(call: Callable[[], T]) -> tuple[T | None, list[str]]:
    """Return what a call returns, or the fields that its InvalidInput names; there must be one."""
    try:
        return call(), []
    except InvalidInput as error:
        if not error.fields:
            raise AssertionError("the refusal names no field") from error
        return None, list(error.fields)


def about(base: type[Connector], kind: DestinationKind | None = None) -> Callable[[T], T]:
    """Mark a test that is about connectors with a capability, or destinations of one kind."""

    def mark(test: T) -> T:
        test.about = (base, kind)  # type: ignore[attr-defined]
        return test

    return mark


class ConnectorContract:
    """See the module."""

    connector: ClassVar[type[Connector]]
    good_answers: ClassVar[tuple[Answer, ...]] = (Answer(200, b"{}"),)
    """What the service says to check(), in order."""
    sent_answers: ClassVar[tuple[Answer, ...]] = (Answer(200, b'{"ok": true, "id": "1"}'),)
    """What it says to send(), in order."""
    repeats_are_harmless: ClassVar[bool] = False
    """The service itself knows a repeated send() by its id: the second may make the same calls again."""
    body_is_signed: ClassVar[bool] = True
    """A receiver's proof covers the body; a token does not."""

    def __init_subclass__(cls) -> None:
        """Leave the tests out that are about something the connector does not do."""
        for name in dir(cls):
            base, kind = getattr(getattr(cls, name), "about", (Connector, None))
            if not issubclass(cls.connector, base) or (kind and cls.connector.destination_kind(cls().values()[0]) is not kind):  # type: ignore[attr-defined]
                setattr(cls, name, None)

    # --- How a connector under test is made ---

    def values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return config and credentials that are valid."""
        shown = example(self.connector)
        return validate_values(self.connector, shown["config"], shown["credentials"])

    def options(self) -> dict[str, Any]:
        """Return valid options of the destination."""
        return validate_options(self.connector, example(self.connector)["destination"], config=self.values()[0])

    def planted(self) -> dict[str, Any]:
        """Return the credentials with a known text in each that takes one; override where a secret has a form of its own."""
        planted: dict[str, Any] = {}
        for name, value in self.values()[1].items():
            if isinstance(value, dict):
                planted[name] = {key: f"{PLANTED}-{name}-{key}" for key in value}
            else:
                planted[name] = f"{PLANTED}-{name}"
        try:
            return validate_values(self.connector, self.values()[0], planted)[1]
        except InvalidInput:
            return self.values()[1]

    def made(self, *answers: Answer | Exception, credentials: dict[str, Any] | None = None, config: dict[str, Any] | None = None) -> Any:
        """Return the connector behind a door that answers so."""
        config = self.values()[0] if config is None else config
        credentials = self.values()[1] if credentials is None else credentials
        door = FakeDoor(*answers, auth=self.auth(config, credentials))
        return self.connector(Context(uuid.UUID(int=1), "Mine", config, credentials, door))

    def auth(self, config: dict[str, Any], credentials: dict[str, Any]) -> Auth:
        """Return what the portal would put on calls; a made-up token stands for OAuth2."""
        found = self.connector.auth(config, credentials)
        return dressed(NoAuth() if isinstance(found, OAuthApp) else found, self.connector.extra_headers(config, credentials))

    def request(self) -> InboundRequest:
        """Return an authentic inbound request, signed with secret(); receivers override it."""
        raise NotImplementedError

    def source(self) -> dict[str, Any]:
        """Return the fields of a source of this receiver, as they are stored; override it for another way of signing."""
        fields: Any = self.connector.source_fields  # type: ignore[attr-defined]
        defaults = {field.name: field.default for field in fields if field.default is not None}
        return {field.name: field.default for field in fields if field.name in defaults and field.applies(defaults)}

    def secret(self) -> str:
        """Return the secret that request() is signed with."""
        return "s3cret-of-the-provider"

    # --- Declarations ---

    def test_its_declarations_are_sane(self) -> None:
        assert problems(self.connector) == []
        assert set(self.connector.example) <= {"config", "credentials", "destination"}

    def test_its_schemas_are_valid_and_take_its_example(self) -> None:
        shown = example(self.connector)
        for name, schema in (("config", config_schema(self.connector)), ("credentials", credentials_schema(self.connector))):
            assert jsonschema_rs.meta.is_valid(schema)
            jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(shown[name])
        if issubclass(self.connector, Destination):
            schema = destination_schema(self.connector)
            assert schema is not None
            assert jsonschema_rs.meta.is_valid(schema)
            jsonschema_rs.Draft202012Validator(schema).validate(shown["destination"])

    def test_its_example_is_valid_and_stays_as_it_is_when_sent_again(self) -> None:
        config, credentials = self.values()
        assert validate_values(self.connector, config, credentials) == (config, credentials)
        assert validate_values(self.connector, config, {}, stored_config=config, stored_credentials=credentials) == (config, credentials)
        json.dumps(describe(self.connector).__dict__, allow_nan=False)

    def test_secrets_stand_in_the_credentials_and_nowhere_else(self) -> None:
        secret = {field.name for field in self.connector.fields if field.secret}
        assert not secret & set(config_schema(self.connector)["properties"])
        assert set(credentials_schema(self.connector)["properties"]) == secret
        config, credentials = self.values()
        assert not set(config) & secret
        assert set(credentials) <= secret

    def test_whatever_is_sent_is_taken_or_refused(self) -> None:
        names = [field.name for field in self.connector.fields]
        objects = st.dictionaries(st.sampled_from([*names, "nonsense"]), json_values, max_size=6)

        @fuzz
        @given(config=objects | json_values, credentials=objects | json_values)
        def probe(config: Any, credentials: Any) -> None:
            taken, refused = tried(lambda: validate_values(self.connector, config, credentials))
            assert taken or all(name.partition(".")[0] in ("config", "credentials") for name in refused)
            assert not taken or validate_values(self.connector, *taken) == taken

        probe()

    def test_whatever_takes_the_place_of_one_field_is_taken_or_refused(self) -> None:
        shown = example(self.connector)

        @fuzz
        @given(field=st.sampled_from(self.connector.fields or [None]), value=json_values)
        def probe(field: Any, value: Any) -> None:
            if field is None:
                return
            values = copy.deepcopy(shown)
            values["credentials" if field.secret else "config"][field.name] = value
            taken, _ = tried(lambda: validate_values(self.connector, values["config"], values["credentials"]))
            if taken:
                jsonschema_rs.Draft202012Validator(config_schema(self.connector)).validate(taken[0])

        probe()

    def test_no_form_shows_a_secret(self) -> None:
        planted = self.planted()
        for name, field in form_fields(self.connector.fields, {**self.values()[0], **planted}, secrets=list(planted)).items():
            html = field.widget.render(name, field.prepare_value(field.initial)) + str(field.help_text)
            if next(declared for declared in self.connector.fields if declared.name == name).secret:
                assert field.initial is None
                assert "kept as it is" in html or name not in planted
            assert PLANTED not in html

    # --- Secrets ---

    def test_secrets_are_in_no_text_of_it(self) -> None:
        made = self.made(credentials=self.planted())
        auth = self.connector.auth(self.values()[0], self.planted())
        for shown in (made, made.context, made.door, auth):
            assert PLANTED not in repr(shown)
            assert PLANTED not in str(shown)
        texts = [auth.client_secret] if isinstance(auth, OAuthApp) else auth.secrets()
        assert isinstance(texts, list)

    def test_other_credentials_have_another_fingerprint(self) -> None:
        config, credentials = self.values()
        one, other = self.auth(config, credentials), self.auth(config, self.planted())
        assert (one.fingerprint() == other.fingerprint()) == (self.sent_with(one) == self.sent_with(other))
        assert PLANTED not in other.fingerprint()

    def sent_with(self, auth: Auth) -> tuple[Any, Any]:
        """Return what credentials add to a request."""
        request = Outgoing("GET", "https://example.com/")
        auth.apply(request)
        return request.headers, request.params

    # --- Checker ---

    @about(Checker)
    def test_a_check_says_what_it_found(self) -> None:
        made = self.made(*self.good_answers)
        result = made.check()
        assert isinstance(result, CheckResult)
        assert result.message.endswith(".")
        json.dumps(dict(result.details))
        assert made.door.calls

    @about(Checker)
    @pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 410, 429, 500, 502, 503])
    def test_a_check_explains_every_refusal(self, status: int) -> None:
        with pytest.raises(OutboundError) as caught:
            self.made(Answer(status, b'{"message": "no"}')).check()
        self.explains(caught.value)
        if status == 401:
            assert caught.value.permanent
        if status == 429:
            assert isinstance(caught.value, Throttled)

    @about(Checker)
    @pytest.mark.parametrize("failure", [TIMED_OUT, Answer(200, GARBAGE), Answer(200, b""), Answer(200, b"[" * 100_000)], ids=str)
    def test_a_check_survives_whatever_comes_back(self, failure: Answer | Exception, caplog: pytest.LogCaptureFixture) -> None:
        try:
            self.made(failure, credentials=self.planted()).check()
        except OutboundError as error:
            self.explains(error)
        else:
            assert isinstance(failure, Answer)
            assert self.reads_no_body()

    def reads_no_body(self) -> bool:
        """Say whether check() goes by the status alone, so that any body is a good one."""
        return False

    @about(Checker)
    @pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
    def test_a_service_that_repeats_the_credentials_does_not_give_them_away(self, status: int, caplog: pytest.LogCaptureFixture) -> None:
        planted = self.planted()
        echo = json.dumps({"errors": [{"message": planted}], "message": planted, "status": planted, "error": planted}).encode()
        with caplog.at_level(logging.DEBUG):
            try:
                shown = repr(self.made(Answer(status, echo), credentials=planted).check())
            except OutboundError as error:
                shown = f"{error.message} {error!r} {getattr(error, 'body', b'')!r} {''.join(traceback.format_exception_only(error))}"
        assert PLANTED not in shown + caplog.text

    def explains(self, error: OutboundError) -> None:
        """Fail unless an error says in a sentence what happened and what mends it."""
        assert type(error) is not OutboundError
        assert error.message.endswith("."), error.message
        assert len(error.message.split()) >= 6, error.message
        assert error.code

    # --- Gateway ---

    @about(GatewayTarget)
    def test_its_base_url_has_no_slash_at_its_end(self) -> None:
        base: str = self.connector.base_url(self.values()[0])  # type: ignore[attr-defined]
        assert base.startswith(("https://", "http://"))
        assert not base.endswith("/")
        assert "?" not in base

    # --- Destinations ---

    @about(Destination)
    def test_its_options_are_taken_or_refused(self) -> None:
        names = [field.name for field in self.connector.destination_fields]  # type: ignore[attr-defined]
        objects = st.dictionaries(st.sampled_from([*names, "nonsense"]), json_values, max_size=4)
        config = self.values()[0]

        @fuzz
        @given(options=objects | json_values)
        def probe(options: Any) -> None:
            taken, refused = tried(lambda: validate_options(self.connector, options, config=config))
            assert all(name.partition(".")[0] == "destination" for name in refused)
            assert taken is None or validate_options(self.connector, taken, config=config) == taken

        probe()

    @about(HttpDestination, DestinationKind.HTTP)
    def test_its_request_depends_on_the_event_and_nothing_else(self) -> None:
        made, options = self.made(credentials=self.planted()), self.options()
        first, again = made.build(event(), options), self.made(credentials=self.planted()).build(event(), copy.deepcopy(options))
        assert isinstance(first, DestinationRequest)
        assert first == again
        assert made.door.calls == []
        assert PLANTED not in repr(first)
        assert first.url.startswith(("https://", "http://"))
        assert all("\n" not in name + value for name, value in first.headers.items())

    @about(HttpDestination, DestinationKind.HTTP)
    def test_its_verdict_is_given_on_every_answer(self) -> None:
        made = self.made(credentials=self.planted())
        bodies = [b"", b"{}", b"ok", b"null", b"[]", b'{"ok": false, "error": "no"}', b"<a/>", GARBAGE, b"[" * 100_000, PLANTED.encode()]
        for status in (*range(200, 210), 301, 400, 401, 403, 404, 409, 410, 422, 429, 500, 502, 503, 504, 599):
            for body in bodies:
                outcome = made.judge(DestinationAnswer(status, {}, body))
                assert outcome is None or isinstance(outcome, Outcome)
                if outcome is not None:
                    assert outcome.ok == (outcome.error == "")
                    assert PLANTED not in repr(outcome)

    @about(CallDestination, DestinationKind.CALL)
    def test_telling_it_twice_makes_no_second_thing(self) -> None:
        memory = DictMemory()
        outcome = self.made(*self.sent_answers).send(event(), self.options(), memory)
        assert outcome.ok, outcome.error
        second = self.made(*self.sent_answers)
        assert second.send(event(attempt=2), self.options(), memory).ok
        if not self.repeats_are_harmless:
            assert [call for call in second.door.calls if call.method == "POST"] == []

    @about(CallDestination, DestinationKind.CALL)
    def test_a_delivery_that_meets_another_at_work_holds_nothing_up(self) -> None:
        outcome = self.made(*self.sent_answers).send(event(), self.options(), BusyMemory())
        assert outcome.ok or (outcome.status == 409 and outcome.retry_after is None and not outcome.permanent)

    @about(CallDestination, DestinationKind.CALL)
    @pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 410, 429, 500, 503])
    def test_a_refused_event_is_explained(self, status: int) -> None:
        try:
            outcome = self.made(Answer(status, b"{}")).send(event(), self.options(), DictMemory())
        except OutboundError as error:
            self.explains(error)
        else:
            assert not outcome.ok
            assert outcome.error.endswith(".")

    # --- Receivers ---

    @about(Receiver)
    def test_the_schema_of_its_sources_takes_what_these_tests_are_made_with(self) -> None:
        schema = source_schema(self.connector)
        assert schema is not None
        assert jsonschema_rs.meta.is_valid(schema)
        jsonschema_rs.Draft202012Validator(schema).validate(self.source())

    @about(Receiver)
    def test_what_it_signed_is_taken_with_either_of_two_secrets(self) -> None:
        connector: Any = self.connector
        for secrets in ([self.secret()], [self.secret(), "other"], ["other", self.secret()]):
            verified = connector.verify(self.request(), secrets, self.source(), NOW)
            assert isinstance(verified, Verified)
            assert connector.verify(self.request(), secrets, self.source(), NOW) == verified
            assert isinstance(connector.parse(self.request(), verified), list)

    @about(Receiver)
    @pytest.mark.parametrize("secrets", [[], [""], ["other"]], ids=["none", "empty", "other"])
    def test_another_secret_is_refused(self, secrets: list[str]) -> None:
        connector: Any = self.connector
        with pytest.raises(NotAllowed) as caught:
            connector.verify(self.request(), secrets, self.source(), NOW)
        assert self.secret() not in str(caught.value)

    @about(Receiver)
    def test_a_changed_body_is_refused(self) -> None:
        connector: Any = self.connector
        changed = InboundRequest(self.request().headers, self.request().body + b" ", self.request().query, NOW)
        if not self.body_is_signed:
            assert connector.verify(changed, [self.secret()], self.source(), NOW)
            return
        with pytest.raises(NotAllowed):
            connector.verify(changed, [self.secret()], self.source(), NOW)

    @about(Receiver)
    def test_hostile_requests_are_refused_and_nothing_worse(self) -> None:
        connector: Any = self.connector
        names = [*self.request().headers, "authorization", "x-signature"]
        secret, config = self.secret(), self.source()

        @fuzz
        @given(headers=st.dictionaries(st.sampled_from(names), st.text(max_size=80)), body=st.binary(max_size=200))
        def probe(headers: dict[str, str], body: bytes) -> None:
            request = InboundRequest(headers, body, {}, NOW)
            frozen = pickle.dumps((dict(request.headers), request.body))
            with pytest.raises(NotAllowed):
                connector.verify(request, [secret], config, NOW)
            assert pickle.dumps((dict(request.headers), request.body)) == frozen

        probe()
