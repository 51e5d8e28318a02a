"""Every way of proving a request against one table of what attackers, clocks and proxies do to it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput, NotAllowed
from core.event_types import catalogue
from core.fields import RawJSONField
from integrations import registry
from integrations.contract.inbound import InboundRequest, Receiver
from tests.connectors.contract import NOW, fuzz, json_values
from tests.connectors.senders import SENDERS, STAMP, STANDARD_SECRETS, Sender, mac

pytestmark = pytest.mark.once
TAKEN = ""
Made = tuple[InboundRequest, list[str]]


def changed(sender: Sender, change: Callable[[str], str]) -> InboundRequest:
    request = sender.request()
    if sender.in_query:
        return replace(request, query={sender.proof: change(request.query[sender.proof])})
    return replace(request, headers={**request.headers, sender.proof: change(request.headers[sender.proof])})


def with_proof(change: Callable[[str], str]) -> Callable[[Sender], Made]:
    return lambda sender: (changed(sender, change), [sender.secrets[0]])


def at_stamp(offset: int) -> Callable[[Sender], Made]:
    return lambda sender: (sender.request(stamp=STAMP + offset), [sender.secrets[0]])


def with_time(text: str) -> Callable[[Sender], Made]:
    def made(sender: Sender) -> Made:
        if sender.timed == sender.proof == "stripe-signature":
            return changed(sender, lambda value: value.replace(f"t={STAMP}", f"t={text}")), [sender.secrets[0]]
        request = sender.request()
        return replace(request, headers={**request.headers, sender.timed: text}), [sender.secrets[0]]

    return made


def timed(sentence: str) -> Callable[[Sender], str]:
    return lambda sender: sentence if sender.timed else TAKEN


def tampered(sender: Sender) -> Made:
    return replace(sender.request(), body=sender.body.replace(b"{", b"{ ", 1)), [sender.secrets[0]]


REFUSED = "."
# what is done to a request, and what the receiver says: TAKEN, or a pattern of the refusal
TABLE: dict[str, tuple[Callable[[Sender], Made], Callable[[Sender], str]]] = {
    "right": (lambda sender: (sender.request(), [sender.secrets[0]]), lambda sender: TAKEN),
    "tampered": (tampered, lambda sender: "No signature fits" if sender.signs_body else TAKEN),
    "wrong secret": (lambda sender: (sender.request(), [sender.secrets[1]]), lambda sender: "No signature fits|another secret"),
    "previous secret": (lambda sender: (sender.request(secret=sender.secrets[1]), list(sender.secrets)), lambda sender: TAKEN),
    "no secret": (lambda sender: (sender.request(), []), lambda sender: "No secret is set"),
    "blank secret": (lambda sender: (sender.request(), ["", " "]), lambda sender: "No secret is set"),
    "stale": (at_stamp(-301), timed("older than 300 seconds")),
    "old inside the window": (at_stamp(-299), lambda sender: TAKEN),
    "future": (at_stamp(301), timed("from the future")),
    "ahead inside the window": (at_stamp(299), lambda sender: TAKEN),
    "missing": (with_proof(lambda value: ""), lambda sender: "another secret" if sender.in_query else f"{sender.proof} is missing"),
    "doubled": (with_proof(lambda value: f"{value},{value}"), lambda sender: TAKEN if sender.listed else REFUSED),
    # Standard Webhooks separates by blanks, so the second is one that fits
    "doubled with a blank": (
        with_proof(lambda value: f"{value}, {value}"),
        lambda sender: TAKEN if sender.listed or sender.proof.endswith(("webhook-signature", "svix-signature")) else REFUSED,
    ),
    "non-ASCII": (with_proof(lambda value: value[:-1] + "ü"), lambda sender: "another secret" if sender.in_query else "printable ASCII"),
    "truncated": (with_proof(lambda value: value.split(",v0=")[0][:-1]), lambda sender: REFUSED),
    "lengthened": (with_proof(lambda value: value.split(",v0=")[0] + "0"), lambda sender: REFUSED),
    "wrong base64": (with_proof(lambda value: value.split(",v0=")[0][:-6] + "%%%%%%"), lambda sender: REFUSED),
    "huge": (with_proof(lambda value: value * 2000), lambda sender: "another secret" if sender.in_query else "longer than"),
    "blank": (with_proof(lambda value: " "), lambda sender: REFUSED),
    "control characters": (with_proof(lambda value: value + "\n"), lambda sender: REFUSED),
}  # fmt: skip
TIMES = {
    "abc": "not a number",
    "-1": "not a number",
    "": REFUSED,
    "1e9": "not a number",
    "٣": REFUSED,
    "9" * 12: "from the future",
    "9" * 400: "not a number",
}


@pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.name)
@pytest.mark.parametrize("case", TABLE)
def test_a_request_is_taken_or_refused_as_the_table_says(sender: Sender, case: str) -> None:
    made, expected = TABLE[case]
    request, secrets = made(sender)
    if (sentence := expected(sender)) == TAKEN:
        assert sender.receiver.verify(request, secrets, sender.config, NOW)
        return
    with pytest.raises(NotAllowed, match=sentence) as caught:
        sender.receiver.verify(request, secrets, sender.config, NOW)
    assert caught.value.message.endswith(".")
    given = [*request.headers.values(), *request.query.values()]
    assert not any(part in caught.value.message for part in [*sender.secrets, *given] if len(part) > 20)


@pytest.mark.parametrize("sender", [sender for sender in SENDERS if sender.timed], ids=lambda sender: sender.name)
@pytest.mark.parametrize("text", TIMES, ids=lambda text: text[:12] or "empty")
def test_a_strange_time_is_refused(sender: Sender, text: str) -> None:
    request, secrets = with_time(text)(sender)
    with pytest.raises(NotAllowed, match=TIMES[text]):
        sender.receiver.verify(request, secrets, sender.config, NOW)


@pytest.mark.parametrize("sender", [sender for sender in SENDERS if sender.timed not in ("", sender.proof)], ids=lambda sender: sender.name)
def test_a_doubled_time_is_refused(sender: Sender) -> None:
    request, secrets = with_time(f"{STAMP},{STAMP}")(sender)
    with pytest.raises(NotAllowed, match="not a number"):
        sender.receiver.verify(request, secrets, sender.config, NOW)


@pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.name)
def test_a_replay_has_the_id_of_the_first(sender: Sender) -> None:
    request = sender.request()
    first = sender.receiver.verify(request, [sender.secrets[0]], sender.config, NOW)
    again = sender.receiver.verify(request, [sender.secrets[0]], sender.config, NOW + timedelta(seconds=299))
    assert again == first
    assert first.dedupe_id or sender.name == "generic_token"


def test_every_receiver_has_a_sender() -> None:
    told_elsewhere = {"github"}
    receivers = {connector.key for connector in registry.with_capability(Receiver)} - told_elsewhere
    assert receivers == {sender.receiver.key for sender in SENDERS}


def test_the_header_never_chooses_the_scheme() -> None:
    """A signing source takes no token, a token source no signature, and SHA-1 under the same header name is no SHA-256."""
    token, signing, snyk = (
        next(sender for sender in SENDERS if sender.name == name) for name in ("gitlab_token", "gitlab_signing", "snyk")
    )
    with pytest.raises(NotAllowed, match="webhook-id is missing"):
        signing.receiver.verify(token.request(), [token.secrets[0]], signing.config, NOW)
    both = replace(
        signing.request(), headers={**signing.request(secret=STANDARD_SECRETS[1]).headers, "x-gitlab-token": STANDARD_SECRETS[0]}
    )
    with pytest.raises(NotAllowed, match="No signature fits"):
        signing.receiver.verify(both, [STANDARD_SECRETS[0]], signing.config, NOW)
    with pytest.raises(NotAllowed, match="x-gitlab-token is missing"):
        signing.receiver.verify(signing.request(), [STANDARD_SECRETS[0]], token.config, NOW)
    with pytest.raises(NotAllowed, match="sha256="):
        snyk.receiver.verify(
            snyk.request(x_hub_signature="sha1=" + mac(snyk.secrets[0], snyk.body, "sha1").hex()), [snyk.secrets[0]], {}, NOW
        )


def test_a_public_key_takes_no_hmac_made_of_it() -> None:
    """Who knows the public key can make an HMAC with it: only Ed25519 counts for a whpk_ key."""
    asymmetric = next(sender for sender in SENDERS if sender.name == "ed25519")
    public = asymmetric.secrets[0]
    key = base64.b64decode(public.removeprefix("whpk_"))
    forged = "v1," + base64.b64encode(mac(key, b"msg_1.%d.%s" % (STAMP, asymmetric.body))).decode()
    with pytest.raises(NotAllowed, match="No signature fits"):
        asymmetric.receiver.verify(asymmetric.request(webhook_signature=forged), [public], {}, NOW)


@pytest.mark.parametrize("secret", ["whsec_", "whpk_", "whsec_%%%", "whpk_ü"])
def test_an_unreadable_secret_trusts_nothing(secret: str) -> None:
    sender = next(sender for sender in SENDERS if sender.name == "standard_webhooks")
    forged = "v1," + base64.b64encode(mac(b"", b"msg_1.%d.%s" % (STAMP, sender.body))).decode()
    with pytest.raises(NotAllowed, match="secret is unreadable"):
        sender.receiver.verify(sender.request(webhook_signature=forged), [secret], {}, NOW)


def test_the_reference_library_signs_and_takes_the_same() -> None:
    sender = next(sender for sender in SENDERS if sender.name == "standard_webhooks")
    signature = standardwebhooks.Webhook(sender.secrets[0]).sign("msg_9", NOW, sender.body.decode())
    request = sender.request(webhook_signature=f"v1a,AAAA v2,x {signature}", webhook_id="msg_9")
    assert sender.receiver.verify(request, [sender.secrets[0]], {}, NOW).dedupe_id == "msg_9"


# --- Whatever comes in ---

_payload_names = ["id", "type", "event", "build", "object_kind", "object_attributes", "project", "repository", "push", "changes", "alerts",
                  "labels", "newIssues", "issueData", "commit_status", "pullRequest", "pullrequest", "workflow", "job", "pipeline", "data",
                  "status", "number", "phase", "timestamp", "created", "build_id", "builds", "commits", "scm", "url", "duration", "name",
                  "event_type", "variables", "started_at", "startsAt", "payload",
                  "challenge", "slug", "hash", "new", "old", "target"]  # fmt: skip
_nested = st.recursive(
    json_values | st.sampled_from([2**63, 1e308, -1, "2026-05-04T12:00:00Z", "FINALIZED", "failed", "x" * 3000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_payload_names), inner, max_size=6),
    max_leaves=25,
)
_kinds = {
    "gitlab_token": ["push", "merge_request", "pipeline", "build", "note"],
    "bitbucket": [
        "repo:push",
        "pullrequest:updated",
        "repo:commit_status_updated",
        "repo:refs_changed",
        "pr:opened",
        "diagnostics:ping",
        "x",
    ],
    "circleci": ["workflow-completed", "job-completed", "x"],
    "pagerduty": ["incident.triggered", "x"],
    "snyk": ["project_snapshot/v0", "ping/v0"],
}
_kind_headers = {"bitbucket": "x-event-key", "snyk": "x-snyk-event"}


def parsed(sender: Sender, request: InboundRequest) -> list[Any]:
    """Return the events of an authentic request; all can be published."""
    verified = sender.receiver.verify(request, [sender.secrets[0]], sender.config, NOW)
    assert len(verified.dedupe_id) <= 255
    sender.receiver.answer(request, verified)
    try:
        events = sender.receiver.parse(request, verified)
    except InvalidInput:
        return []
    assert sender.receiver.parse(request, verified) == events
    for event in events:
        event_type = catalogue.find(event.type)
        assert event_type is not None, event.type
        event_type.validator.validate(dict(event.data))
        RawJSONField.dump(event.data)
        assert event.occurred_at is None or event.occurred_at.utcoffset() == timedelta(0)
        for run in event.runs:
            assert run.status in ("queued", "running", "success", "failure", "cancelled", "skipped", "timed_out")
            assert 0 < len(run.build_id) <= 100
            assert len(run.commit) <= 64
            RawJSONField.dump(run.raw)
            assert all(time is None or time.utcoffset() == timedelta(0) for time in (run.started_at, run.finished_at))
    return events


@pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.name)
def test_any_authentic_body_is_read_or_refused(sender: Sender) -> None:
    kinds = _kinds.get(sender.name, ["x"])

    @fuzz
    @given(
        kind=st.sampled_from(kinds),
        value=_nested,
        more=st.dictionaries(st.sampled_from(_payload_names), _nested, max_size=6),
        raw=st.binary(max_size=60),
    )
    def probe(kind: str, value: Any, more: dict[str, Any], raw: bytes) -> None:
        header = {_kind_headers[sender.name].replace("-", "_"): kind} if sender.name in _kind_headers else {}
        about = {"object_kind": kind, "type": kind, "event": {"event_type": kind, "data": value}}
        for body in (raw, json.dumps(value).encode(), json.dumps({**more, **about}).encode()):
            parsed(sender, sender.request(body, **header))

    probe()


@pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.name)
def test_any_forged_request_is_refused(sender: Sender) -> None:
    names = [*sender.request().headers, sender.proof, "authorization", "content-type"]
    known = st.sampled_from(
        [*sender.request().headers.values(), f"t={STAMP},v1=00", "v1,", "v1a,AAAA", "Basic Og==", "Basic =", "sha256=", "Bearer "]
    )

    @fuzz
    @given(
        headers=st.dictionaries(st.sampled_from(names), known | st.text(max_size=200)),
        body=st.binary(max_size=80),
        secret=st.text(max_size=20),
    )
    def probe(headers: Mapping[str, str], body: bytes, secret: str) -> None:
        request = InboundRequest(headers, body, headers, NOW)
        try:
            sender.receiver.verify(request, [secret], sender.config, NOW)
        except NotAllowed:
            return
        assert secret in headers.values()

    probe()


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b"null", b'"x"', b"NaN"], ids=lambda body: repr(body[:8])
)
@pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.name)
def test_a_body_that_is_no_object_is_refused_with_a_sentence(sender: Sender, body: bytes) -> None:
    request = sender.request(body)
    verified = sender.receiver.verify(request, [sender.secrets[0]], sender.config, NOW)
    with pytest.raises(InvalidInput, match="body: "):
        sender.receiver.parse(request, verified)


@pytest.mark.parametrize("name", ["snyk", "slack", "stripe", "generic_timed"])
def test_a_cut_signature_is_called_so(name: str) -> None:
    sender = next(sender for sender in SENDERS if sender.name == name)
    request = changed(sender, lambda value: value.split(",v0=")[0][:-1])
    with pytest.raises(NotAllowed, match=r"has no signature of \d+ characters: it was cut"):
        sender.receiver.verify(request, [sender.secrets[0]], sender.config, NOW)
