"""The e-mail connector keeps to the contract through services of each kind: asked by GET, by POST, and one that always says 200."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from core.errors import RepoGuardError
from core.http.door import BadAnswer
from integrations.connectors.email.connector import Email
from integrations.connectors.email.fields import Way
from integrations.contract.schema import validate_values
from tests.connectors.contract import ConnectorContract, DictMemory, event
from tests.connectors.door import GARBAGE, Answer, answer

pytestmark = pytest.mark.once
SENT = {"ErrorCode": 0, "Message": "OK", "MessageID": "b7bc2f4a", "To": "security@example.com"}
KEYS: dict[str, dict[str, Any]] = {
    "amazon_ses": {"secret_access_key": "wJalrXUtnFEMI"}, "mailersend": {"api_token": "mlsn.1"}, "mailtrap": {"api_token": "t0k"},
    "mailjet": {"api_key": "pub-1", "secret_key": "priv-1"}, "postmark": {"server_token": "server-token-1"},
    "scaleway": {"secret_key": "scw-1"},
}  # fmt: skip
MORE: dict[str, dict[str, Any]] = {
    "amazon_ses": {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "ses_region": "eu-central-1"},
    "mailgun": {"sender_domain": "mg.example.com", "data_region": "eu"}, "postal": {"api_url": "https://postal.example.com"},
    "scaleway": {"project_id": "0192f0c1"}, "unisender_go": {"api_url": "https://go1.unisender.ru/ru/transactional/api/v1"},
}  # fmt: skip


def through(way: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the checked values of an integration through a service."""
    config = {"provider": way, "from_address": "repoguard@example.com"} | MORE.get(way, {})
    return validate_values(Email, config, KEYS.get(way, {"api_key": "key-0123456789"}))


class Through(ConnectorContract):
    connector = Email
    way = "postmark"

    def values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return through(self.way)


class TestPostmark(Through):
    good_answers = (answer({"ID": 1, "Name": "Production"}),)
    sent_answers = (answer(SENT),)


class TestPostal(Through):
    way = "postal"
    good_answers = (answer({"status": "error", "data": {"code": "MessageNotFound"}}),)
    sent_answers = (answer({"status": "success", "data": {"messages": {"security@example.com": {"id": 1, "token": "x"}}}}),)


@pytest.mark.parametrize("way", [way for way in Way.values if way != "smtp"])
def test_every_service_is_asked_and_told_with_its_own_credentials_and_no_other_host(way: str) -> None:
    class One(Through):
        pass

    One.way = way
    said = {"name": "x", "ErrorCode": 0, "Message": "OK", "MessageID": "1", "status": "success", "data": {"messages": {}}, "id": "<1@x>"}
    made = One().made(answer(said | {"SendingEnabled": True}))
    assert made.check().message.endswith(".")
    asked = made.door.calls[0]
    encoded = made.door.auth.secrets()
    assert way == "amazon_ses" or any(one in f"{asked.headers}{asked.body!r}" for one in encoded)
    # the made-up answer is not every service's
    with contextlib.suppress(BadAnswer):
        assert made.send(event(), {"to": ["security@example.com"], "cc": ["boss@example.com"]}, DictMemory()).ok
    told = made.door.calls[-1]
    assert told.method == "POST"
    assert len(made.door.calls) == 2
    assert b"security@example.com" in told.body.replace(b"%40", b"@") or way == "amazon_ses"
    hosts = {call.url.split("/")[2] for call in made.door.calls}
    assert len({".".join(host.split(".")[-2:]) for host in hosts}) == 1, hosts


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[]", b"null", GARBAGE, b'{"SuppressionAttributes": {"SuppressedReasons": 5}}'])
@pytest.mark.parametrize("way", [way for way in Way.values if way != "smtp"])
def test_whatever_a_service_answers_is_explained(way: str, body: bytes) -> None:
    class One(Through):
        pass

    One.way = way
    for ask in (lambda made: made.check(), lambda made: made.send(event(), {"to": ["security@example.com"]}, DictMemory())):
        with contextlib.suppress(RepoGuardError):  # and nothing else
            ask(One().made(Answer(200, body)))


def test_what_postmark_is_told() -> None:
    made = TestPostmark().made(answer(SENT))
    assert made.send(event(), {"to": ["security@example.com"], "subject_prefix": "[X]"}, DictMemory()).details["message_id"] == "b7bc2f4a"
    told = made.door.calls[0]
    assert (told.method, told.url) == ("POST", "https://api.postmarkapp.com/email")
    assert told.headers["X-Postmark-Server-Token"] == "server-token-1"
    body = told.json()
    assert (body["From"], body["To"]) == ("RepoGuard <repoguard@example.com>", "security@example.com")
    assert body["Subject"].startswith("[X] Gate failed")
    assert body["HtmlBody"].startswith("<!DOCTYPE html>")
    headers = {header["Name"]: header["Value"] for header in body["Headers"]}
    assert headers["Message-ID"] == f"<{event().id}@example.com>"
    assert headers["Auto-Submitted"] == "auto-generated"


def test_what_mailgun_in_europe_is_told() -> None:
    class Mailgun(Through):
        way = "mailgun"

    made = Mailgun().made(answer({"id": "<1@mg.example.com>", "message": "Queued. Thank you."}))
    assert made.send(event(), {"to": ["a@example.com", "b@example.com"]}, DictMemory()).ok
    told = made.door.calls[0]
    assert (told.method, told.url) == ("POST", "https://api.eu.mailgun.net/v3/mg.example.com/messages")
    assert told.headers["Authorization"] == "Basic YXBpOmtleS0wMTIzNDU2Nzg5"
    assert b"&to=a%40example.com&to=b%40example.com&" in told.body
    assert b"h%3AMessage-Id=%3C" in told.body


def test_a_refusal_is_told_in_the_services_words() -> None:
    made = TestPostmark().made(answer({"ErrorCode": 400, "Message": "The 'From' address is no sender signature server-token-1."}, 422))
    memory = DictMemory()
    with pytest.raises(BadAnswer) as caught:
        made.send(event(), {"to": ["a@example.com"]}, memory)
    assert caught.value.permanent
    assert "is no sender signature" in caught.value.message
    assert "server-token-1" not in caught.value.message
    assert memory.kept == {}
