"""Mail over SMTP, against a real server: what it takes, refuses, and what that means for a delivery."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from email.utils import getaddresses
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from core.errors import AddressRefused, InvalidInput, OutboundError
from core.http.door import BadAnswer, CallFailed, SignInFailed
from core.http.lines import MOST_READ
from core.models import RequestLog
from core.models.outbound import CallPurpose
from integrations.calls import connector_for
from integrations.checking import run_check
from integrations.connectors.email.connector import Email
from integrations.contract.schema import validate_options, validate_values
from integrations.models import Integration
from integrations.rehearsal import rehearse
from templates_app.builtin import ensure_builtins
from templates_app.models import IntegrationTemplate
from tests.connectors.contract import DictMemory
from tests.connectors.email.sink import Sink, smtp
from tests.connectors.told import HOSTILE, ID, gate, monsters
from tests.core.http_servers import Authority
from webhooks.services.templates import instantiate, try_out

pytestmark = [pytest.mark.django_db, pytest.mark.once]
PASSWORD = "Ju5tAs3cret-0f-m1ne"
TO = {"to": ["a@example.com", "b@example.com"], "cc": ["c@example.com"], "subject_prefix": "[RepoGuard]"}


@pytest.fixture
def sink(settings: Any) -> Iterator[Sink]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with smtp() as running:
        yield running


def integration(port: int, password: str = "", **config: Any) -> Integration:
    values = {"from_address": "repoguard@example.com", "host": "127.0.0.1", "port": port, "security": "none"} | config
    clean, secret = validate_values(Email, values, {"password": password} if password else {})
    return Integration.objects.create(name="Mails", type="email", category="communication", config=clean, credentials=secret)


def made(port: int, password: str = "", **config: Any) -> Any:
    return connector_for(integration(port, password, **config), CallPurpose.DESTINATION)


def test_a_mail_arrives_with_all_that_programs_look_for(sink: Sink) -> None:
    event = gate(7)
    assert made(sink.port).send(event, TO, DictMemory()).details == {"recipients": 3}
    mail = sink.mails[0]
    assert sink.envelopes == [("repoguard@example.com", ["a@example.com", "b@example.com", "c@example.com"])]
    assert (mail["To"], mail["Cc"], mail["From"]) == ("a@example.com, b@example.com", "c@example.com", "RepoGuard <repoguard@example.com>")
    assert mail["Subject"].startswith("[RepoGuard] Gate failed")
    assert mail["Message-ID"] == f"<{ID}@example.com>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Id"] == "RepoGuard <repoguard.example.com>"
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    row = RequestLog.objects.get()
    assert (row.method, row.url, row.outcome, row.address) == ("SMTP", f"smtp://127.0.0.1:{sink.port}", "success", "127.0.0.1")


def test_what_is_said_of_one_gate_is_one_thread(sink: Sink) -> None:
    from tests.connectors.told import example

    mails = made(sink.port)
    for event in (gate(3), example("gate.passed")):
        mails.send(event, TO, DictMemory())
    first, second = sink.mails
    assert first["References"] == second["References"] == first["In-Reply-To"]
    assert first["References"].startswith("<thread-")


def test_no_event_adds_a_header_or_a_recipient(sink: Sink) -> None:
    mails = made(sink.port, from_name='Evil" <x@y.z>, ')
    for number, event in enumerate(monsters()):
        if event.body and len(event.body) < 2_000_000:
            mails.send(event, TO | {"subject_prefix": HOSTILE.replace("\x00", "").replace("\ud800", "")[:60]}, DictMemory())
            mail = sink.mails[-1]
            assert mail["Bcc"] is None, number
            assert sorted(set(mail.keys())) == sorted(
                {"Content-Type", "MIME-Version", "Subject", "From", "To", "Cc", "Date", "Message-ID", "Auto-Submitted",
                 "X-Auto-Response-Suppress", "List-Id", "X-RepoGuard-Event", "X-Peer", "X-MailFrom", "X-RcptTo"} & set(mail.keys())
                | ({"In-Reply-To", "References"} & set(mail.keys()))
            )  # fmt: skip
            assert len(getaddresses([mail["From"]])) == 1
            assert sink.envelopes[-1][1] == ["a@example.com", "b@example.com", "c@example.com"]
            assert max(len(one) for one in sink.raw[-1].split(b"\r\n")) <= 998


def test_a_preview_shows_the_mail_and_connects_to_nobody(sink: Sink) -> None:
    found = rehearse(integration(sink.port), TO, gate(2))
    (shown,) = found.requests
    assert (shown.method, shown.url) == ("MAIL", f"smtp://127.0.0.1:{sink.port}")
    assert shown.body.startswith(
        "From: RepoGuard <repoguard@example.com>\nTo: a@example.com, b@example.com\nCc: c@example.com\nSubject: [Repo"
    )
    assert "\n\nGate failed: acme/shop\n" in shown.body
    assert sink.mails == []
    assert not RequestLog.objects.exists()


def test_a_repeated_delivery_sends_nothing_and_a_killed_one_the_same_mail(sink: Sink) -> None:
    memory, event = DictMemory(), gate(1)
    mails = made(sink.port)
    assert mails.send(event, TO, memory).ok
    assert mails.send(event, TO, memory).details == {"sent": "earlier"}
    assert len(sink.mails) == 1

    class Killed(Exception):
        pass

    class Dying(DictMemory):
        def replace(self, *args: Any) -> None:
            raise Killed

    dying = Dying()
    with pytest.raises(Killed):
        mails.send(event, TO, dying)
    again = DictMemory()
    again.kept = dying.kept
    assert mails.send(event, TO, again).ok
    assert mails.send(event, TO, again).ok
    assert len(sink.mails) == 3
    assert {mail["Message-ID"] for mail in sink.mails} == {f"<{ID}@example.com>"}


@pytest.mark.parametrize(
    ("attribute", "answer", "permanent", "words"),
    [
        ("data", "451 4.7.1 Greylisted", False, "451 4.7.1 Greylisted"),
        ("data", "554 5.7.1 Looks like spam", True, "refused the mail: 554 5.7.1 Looks like spam."),
        ("sender", "550 5.7.1 Not yours", True, "refused the sender: 550 5.7.1 Not yours."),
    ],
)
def test_a_refused_mail_is_explained(sink: Sink, attribute: str, answer: str, permanent: bool, words: str) -> None:
    setattr(sink, attribute, answer)
    memory = DictMemory()
    with pytest.raises(BadAnswer) as caught:
        made(sink.port).send(gate(1), TO, memory)
    assert (caught.value.permanent, words in caught.value.message) == (permanent, True), caught.value.message
    assert memory.kept == {}
    assert RequestLog.objects.get().outcome == "unexpected"


def test_refused_recipients_are_named_and_only_those_worth_it_are_tried_again(sink: Sink) -> None:
    memory, event, mails = DictMemory(), gate(1), made(sink.port)
    sink.rcpt = {"b@example.com": "450 4.2.2 Mailbox full", "c@example.com": "550 5.1.1 No such user"}
    first = mails.send(event, TO, memory)
    assert not first.ok
    assert not first.permanent
    assert "1 of 3 recipients" in first.error
    assert "b@example.com (450 4.2.2 Mailbox full)" in first.error
    sink.rcpt = {}
    assert mails.send(event, TO, memory).ok
    assert [to for _, to in sink.envelopes] == [["a@example.com"], ["b@example.com"]]
    sink.rcpt = {"c@example.com": "550 5.1.1 No such user"}
    partly = mails.send(event, TO, DictMemory())
    assert (partly.ok, partly.confirmed) == (True, False)
    assert partly.details["refused"] == {"c@example.com": "550 5.1.1 No such user"}
    sink.rcpt = dict.fromkeys(("a@example.com", "b@example.com", "c@example.com"), "550 5.1.1 No such user")
    with pytest.raises(BadAnswer, match=r"No recipient was taken: a@example.com \(550") as caught:
        mails.send(event, TO, DictMemory())
    assert caught.value.permanent


def certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, trusted: bool = True) -> ssl.SSLContext:
    authority = Authority(tmp_path)
    if trusted:
        (tmp_path / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority.server()


def test_a_sign_in_over_starttls(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with smtp(certificates(monkeypatch, tmp_path), PASSWORD) as sink:
        good = integration(sink.port, PASSWORD, security="starttls", username="me")
        assert run_check(good).message == "127.0.0.1 took the sign-in."
        assert connector_for(good, CallPurpose.DESTINATION).send(gate(1), TO, DictMemory()).ok  # type: ignore[attr-defined]
        bad = integration(sink.port, PASSWORD + "x", security="starttls", username="me")
        report = run_check(bad)
        assert not report.ok
        assert "127.0.0.1 refused the sign-in: 535" in report.message
        with pytest.raises(SignInFailed):
            connector_for(bad, CallPurpose.DESTINATION).send(gate(1), TO, DictMemory())  # type: ignore[attr-defined]
    assert len(sink.mails) == 1
    assert PASSWORD not in f"{list(RequestLog.objects.values())}{report}"


def test_a_certificate_that_nobody_vouches_for_gets_no_password(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with smtp(certificates(monkeypatch, tmp_path, trusted=False), PASSWORD) as sink:
        report = run_check(integration(sink.port, PASSWORD, security="starttls", username="me"))
    assert "certificate" in report.message
    assert not report.ok


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"security": "starttls"}, "127.0.0.1 offers no STARTTLS."),
        ({"security": "tls"}, "does not speak TLS"),
        ({"username": "me"}, "takes no sign-in here"),
        ({"port": 9}, "nothing listens on 127.0.0.1:9"),
    ],
)
def test_a_server_that_is_configured_wrongly_is_explained(sink: Sink, config: dict[str, Any], words: str) -> None:
    report = run_check(integration(config.pop("port", sink.port), PASSWORD if "username" in config else "", **config))
    assert not report.ok
    assert words in report.message


def test_inner_servers_are_refused_and_public_ones_without_encryption(sink: Sink, settings: Any) -> None:
    settings.EGRESS_ALLOW_CIDRS = []
    with pytest.raises(AddressRefused, match="loopback"):
        made(sink.port).send(gate(1), TO, DictMemory())
    with pytest.raises(AddressRefused, match="An unencrypted connection is accepted only for hosts inside EGRESS_ALLOW_CIDRS"):
        made(25, host="9.9.9.9").send(gate(1), TO, DictMemory())
    assert sink.mails == []
    assert {row.outcome for row in RequestLog.objects.all()} == {"refused"}


def test_a_server_that_says_nothing_is_given_up(settings: Any) -> None:
    import socket
    from dataclasses import replace

    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        mails = made(silent.getsockname()[1])
        mails.door.terms = replace(mails.door.terms, timeout=0.2)
        with pytest.raises(CallFailed) as caught:
            mails.send(gate(1), TO, DictMemory())
    assert caught.value.code == "timeout"
    assert isinstance(caught.value, OutboundError)


def test_a_server_that_answers_without_an_end_is_cut_off(settings: Any) -> None:
    import contextlib
    import socket
    import threading

    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def talk() -> None:
            peer, _ = listener.accept()
            with contextlib.suppress(OSError), peer:
                peer.sendall(b"220 hi\r\n")
                for _ in range(4 * MOST_READ // 4_000):
                    peer.sendall(b"250-" + b"a" * 4_000 + b"\r\n")

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        with pytest.raises(CallFailed, match="answers without an end"):
            made(listener.getsockname()[1]).send(gate(1), TO, DictMemory())
        thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"to": ["a@example.com\r\nBcc: x@y.zz"]}, "control character"),
        ({"to": ["A <a@example.com>"]}, "expected form"),
        ({"to": ["a@nowhere"]}, "is no e-mail address"),
        ({"to": [f"a{n}@example.com" for n in range(40)], "cc": [f"b{n}@example.com" for n in range(11)]}, "51 addresses"),
        ({"to": []}, "can't be empty"),
        ({"to": ["a@example.com"], "subject_prefix": "x\ny"}, "control character"),
    ],
)
def test_recipients_are_checked_when_they_are_saved(options: dict[str, Any], words: str) -> None:
    from core.errors import InvalidInput

    with pytest.raises(InvalidInput, match=words):
        validate_options(Email, options, config={"provider": "smtp"})


def test_the_template_sets_up_a_relay_that_wants_no_sign_in(sink: Sink) -> None:
    ensure_builtins()
    template = IntegrationTemplate.objects.get(key="email-smtp")
    values = {"host": "127.0.0.1", "port": sink.port, "security": "none", "from_address": "repoguard@example.com", "to": ["a@example.com"]}
    assert try_out(template, "Relay", values, None).message == "127.0.0.1 answered, without a sign-in."
    relay = instantiate(template, "Relay", values, None).integration
    assert (relay.credentials, "username" in relay.config) == ({}, False)
    assert connector_for(relay, CallPurpose.DESTINATION).send(gate(1), TO, DictMemory()).ok  # type: ignore[attr-defined]
    for half in ({"username": "me"}, {"password": PASSWORD}):
        with pytest.raises(InvalidInput, match="is needed beside a"):
            instantiate(template, "Relay", values | half, None)
