"""GitHub's webhooks: what is authentic, and what it means."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput, NotAllowed
from core.event_types import catalogue, check_data
from core.signing import HUB_256, check_mac, hub_signature_256
from integrations.connectors.github.connector import GitHub
from integrations.contract.inbound import InboundEvent, InboundRequest, Verified
from tests.connectors.contract import NOW, fuzz, json_values
from tests.connectors.github.test_contract import signed

pytestmark = pytest.mark.once
SECRET = "It's a Secret to Everybody"
REPOSITORY = {"id": 7, "full_name": "acme/shop", "default_branch": "main", "pushed_at": 1_790_000_000}
RUN = {
    "id": 9183741982, "name": "", "path": ".github/workflows/test.yml", "run_number": 163, "run_attempt": 2, "event": "push",
    "status": "completed", "conclusion": "startup_failure", "head_branch": "main", "head_sha": "3484a3fb", "workflow_id": 28,
    "html_url": "https://github.com/acme/shop/actions/runs/9183741982", "created_at": "2026-10-05T16:33:24Z",
    "run_started_at": "2026-10-05T17:00:00Z", "updated_at": "2026-10-05T17:02:30Z",
    "actor": {"login": "alice"}, "triggering_actor": {"login": "bob"},
}  # fmt: skip


def verify(request: InboundRequest, *secrets: str) -> Verified:
    return GitHub.verify(request, secrets or (SECRET,), {}, NOW)


def parsed(event: str, payload: Any, **headers: str) -> list[InboundEvent]:
    request = signed(json.dumps(payload).encode(), event, SECRET, **headers)
    return GitHub.parse(request, verify(request))


def only(event: str, payload: Any) -> InboundEvent:
    found = parsed(event, payload)
    assert len(found) == 1
    assert catalogue.find(found[0].type) is not None
    check_data(found[0].type, dict(found[0].data))
    return found[0]


def test_githubs_own_example_is_authentic() -> None:
    digest = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert hub_signature_256(SECRET, b"Hello, World!") == digest
    check_mac(HUB_256, [SECRET], {"x-hub-signature-256": digest}, [b"Hello, World!"])
    found = verify(InboundRequest({"x-hub-signature-256": digest, "x-github-delivery": "d-1", "x-github-event": "push"}, b"Hello, World!"))
    assert found == Verified("d-1", "push")


def test_either_secret_is_good_during_a_rotation() -> None:
    request = signed(b"{}", "push", SECRET)
    assert verify(request, "new", SECRET) == verify(request, SECRET, "new")
    with pytest.raises(NotAllowed):
        verify(request, "new", "newer")


GOOD = hub_signature_256(SECRET, b"{}")


@pytest.mark.parametrize(
    "header",
    ["", GOOD[:-1], GOOD[:20], GOOD + "0", GOOD.upper(), f"{GOOD},{GOOD}", f"{GOOD} {GOOD}", GOOD.removeprefix("sha256="), "sha256=",
     "sha256=ü", "\udcff", "\x00", "sha1=" + GOOD[7:], "sha256=" + "0" * 64, "sha256=" + "٣" * 64],
)  # fmt: skip
def test_other_signatures_are_refused(header: str) -> None:
    with pytest.raises(NotAllowed) as caught:
        verify(signed(b"{}", "push", SECRET, x_hub_signature_256=header))
    assert SECRET not in caught.value.message
    assert GOOD[7:] not in caught.value.message


def test_a_tampered_body_is_refused() -> None:
    request = signed(b'{"a": 1}', "push", SECRET)
    for body in (b'{"a": 2}', b'{"a": 1}\n', b'{"a":1}', b""):
        with pytest.raises(NotAllowed):
            verify(InboundRequest(request.headers, body))


def test_sha1_alone_is_refused_in_words() -> None:
    with pytest.raises(NotAllowed, match="SHA-1 only"):
        verify(InboundRequest({"x-hub-signature": "sha1=7cd3b5a8", "x-github-event": "push"}, b"{}"))


def test_no_secret_signs_nothing() -> None:
    request = signed(b"{}", "push", "")
    for secrets in ([], [""]):
        with pytest.raises(NotAllowed):
            GitHub.verify(request, secrets, {}, NOW)


def test_the_bytes_are_signed_whatever_they_are() -> None:
    assert verify(signed(b"\xff\xfe\x00", "push", "Sécret ü", x_github_delivery=" d "), "Sécret ü") == Verified("d", "push")


def test_a_form_is_signed_as_it_came() -> None:
    payload = json.dumps({"ref": "refs/heads/ü+ &", "repository": REPOSITORY})
    body = f"payload={quote_plus(payload)}".encode()
    request = signed(body, "push", SECRET, content_type="application/x-www-form-urlencoded; charset=utf-8")
    assert GitHub.parse(request, verify(request))[0].data["ref"] == "refs/heads/ü+ &"
    again = InboundRequest(request.headers, payload.encode())
    with pytest.raises(NotAllowed):
        verify(again)


@pytest.mark.parametrize("body", [b"", b"other=1", b"payload=%7B", b"payload=%ff", b"payload=1&" * 50, b"\xff", b"payload"])
def test_a_form_that_holds_no_payload_is_invalid(body: bytes) -> None:
    request = signed(body, "push", SECRET, content_type="application/x-www-form-urlencoded")
    with pytest.raises(InvalidInput):
        GitHub.parse(request, verify(request))


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b'{"a": NaN}', b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}", b"\xff", b"1"])
def test_a_body_that_is_no_json_object_is_invalid(body: bytes) -> None:
    request = signed(body, "push", SECRET)
    with pytest.raises(InvalidInput):
        GitHub.parse(request, verify(request))


@pytest.mark.parametrize("event", ["", "a.b", "x" * 61, "../x", "\u00fc"])
def test_an_event_without_a_good_name_is_invalid(event: str) -> None:
    with pytest.raises(InvalidInput):
        parsed(event, {})


def test_a_ping_is_answered_and_means_nothing() -> None:
    request = signed(b'{"zen": "Keep it logically awesome.", "hook_id": 1, "hook": {"config": {"secret": "********"}}}', "ping", SECRET)
    found = verify(request)
    assert GitHub.parse(request, found) == []
    assert GitHub.answer(request, found) == {"message": "RepoGuard receives this webhook."}
    assert GitHub.answer(request, Verified("", "push")) is None


def test_a_push_keeps_githubs_names() -> None:
    payload = {"ref": "refs/heads/main", "before": "a" * 40, "after": "b" * 40, "commits": [{"id": "b" * 40}], "repository": REPOSITORY}
    event = only("push", payload)
    assert event.type == "repository.pushed"
    assert event.data == {"provider": "github", **payload}
    assert event.repository == "acme/shop"
    assert event.occurred_at == datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)


def test_a_removed_tag_is_a_push_too() -> None:
    payload = {"ref": "refs/tags/v1", "after": "0" * 40, "deleted": True, "commits": [], "head_commit": None, "repository": REPOSITORY}
    assert only("push", payload).data["deleted"] is True


def test_a_pull_request_keeps_githubs_names() -> None:
    pull = {"state": "open", "head": {"sha": "ec26c3e5"}, "updated_at": "2026-05-15T15:20:33Z"}
    event = only("pull_request", {"action": "opened", "number": 2, "pull_request": pull, "repository": REPOSITORY})
    assert event.type == "pull_request.updated"
    assert event.data["number"] == 2
    assert event.occurred_at == datetime(2026, 5, 15, 15, 20, 33, tzinfo=UTC)


def test_a_workflow_run_reports_a_build() -> None:
    event = only("workflow_run", {"action": "completed", "workflow_run": RUN, "workflow": {"name": "test"}, "repository": REPOSITORY})
    assert event.type == "inbound.github.workflow_run"
    assert event.repository == "acme/shop"
    (run,) = event.runs
    assert (run.build_id, run.attempt, run.number) == ("9183741982", 2, "163")
    assert (run.status, run.workflow, run.branch, run.commit, run.event) == ("startup_failure", "test", "main", "3484a3fb", "push")
    assert (run.duration_seconds, run.actor, run.url) == (150.0, "bob", RUN["html_url"])
    assert run.started_at == datetime(2026, 10, 5, 17, tzinfo=UTC)
    assert run.finished_at == datetime(2026, 10, 5, 17, 2, 30, tzinfo=UTC)


def test_a_run_that_has_not_ended_has_neither_end_nor_duration() -> None:
    run = RUN | {"status": "in_progress", "conclusion": None}
    (found,) = only("workflow_run", {"action": "in_progress", "workflow_run": run, "repository": REPOSITORY}).runs
    assert (found.status, found.finished_at, found.duration_seconds, found.workflow) == ("in_progress", None, None, "test.yml")


def test_a_run_that_seems_to_end_before_it_began_takes_no_time() -> None:
    run = RUN | {"updated_at": "2026-10-05T16:00:00Z"}
    (found,) = only("workflow_run", {"workflow_run": run, "repository": REPOSITORY}).runs
    assert found.duration_seconds == 0.0
    assert found.finished_at == found.started_at


def test_a_code_scanning_alert_has_changed() -> None:
    alert = {
        "number": 10, "state": "fixed", "html_url": "https://github.com/x", "created_at": "2026-02-11T03:10:43Z",
        "tool": {"name": "CodeQL"},
        "rule": {"id": "java/sql-injection", "severity": "error", "security_severity_level": "high", "description": "SQL"},
        "most_recent_instance": {"ref": "refs/pull/11/merge", "commit_sha": "0048a27c"},
    }  # fmt: skip
    event = only("code_scanning_alert", {"action": "fixed", "alert": alert, "repository": REPOSITORY})
    assert event.type == "inbound.alert_changed"
    assert event.data == {
        "provider": "github", "repository": "acme/shop", "kind": "code_scanning", "action": "fixed",
        "alert": {"number": 10, "state": "fixed", "severity": "high", "title": "SQL", "url": "https://github.com/x",
                  "rule": "java/sql-injection", "tool": "CodeQL", "ref": "refs/pull/11/merge", "commit": "0048a27c",
                  "created_at": "2026-02-11T03:10:43Z"},
    }  # fmt: skip


def test_a_dependabot_alert_has_changed() -> None:
    alert = {
        "number": 20, "state": "open", "dependency": {"package": {"ecosystem": "npm", "name": "semver"}, "manifest_path": "a.json"},
        "security_advisory": {"ghsa_id": "GHSA-c2qf-rxjj-qqgw", "cve_id": None, "summary": "semver is slow", "severity": "medium"},
    }  # fmt: skip
    found = only("dependabot_alert", {"action": "created", "alert": alert, "repository": REPOSITORY}).data["alert"]
    assert (found["severity"], found["package"], found["ghsa_id"], found["title"]) == (
        "medium",
        "semver",
        "GHSA-c2qf-rxjj-qqgw",
        "semver is slow",
    )
    assert "cve_id" not in found


@pytest.mark.parametrize("event", ["secret_scanning_alert", "secret_scanning_alert_location", "secret_scanning_scan"])
def test_a_leaked_secret_goes_no_further(event: str) -> None:
    leaked = "AKIA-leaked-0a1b2c"
    alert = {"number": 3, "state": "open", "secret_type": "aws_key", "secret_type_display_name": "AWS key", "secret": leaked}
    found = only(event, {"action": "created", "alert": alert, "nested": [{"secret": leaked}], "repository": REPOSITORY})
    assert leaked not in json.dumps(dict(found.data))
    if event == "secret_scanning_alert":
        assert found.data["alert"]["title"] == "AWS key"


@pytest.mark.parametrize(
    ("event", "about"),
    [
        ("check_run", {"check_run": {"id": 4, "name": "unit", "status": "completed", "conclusion": "success", "pull_requests": []}}),
        ("check_suite", {"check_suite": {"id": 5, "head_branch": "main", "head_sha": "3484a3fb", "conclusion": "failure"}}),
        ("workflow_job", {"workflow_job": {"id": 6, "run_id": 9183741982, "run_attempt": 2, "conclusion": "failure", "steps": []}}),
        ("security_advisory", {"security_advisory": {"ghsa_id": "GHSA-c2qf-rxjj-qqgw", "severity": "high", "vulnerabilities": []}}),
    ],
)
def test_every_other_event_keeps_its_name_and_payload(event: str, about: dict[str, Any]) -> None:
    """A job is no run of its own: its run is told of as well. An advisory is about no repository."""
    payload = {"action": "completed", **about, **({} if event == "security_advisory" else {"repository": REPOSITORY})}
    found = only(event, payload)
    assert (found.type, found.repository) == (f"inbound.github.{event}", "" if event == "security_advisory" else "acme/shop")
    assert found.data == {"provider": "github", "event": event, "payload": payload}
    assert found.runs == ()


def test_whatever_an_authentic_request_holds_is_read_or_refused() -> None:
    names = ["repository", "alert", "workflow_run", "workflow", "pull_request", "action", "head_commit", "secret", "full_name", "id"]
    objects = st.recursive(json_values, lambda inner: st.dictionaries(st.sampled_from(names), inner, max_size=5), max_leaves=8)
    events = [
        "push",
        "pull_request",
        "workflow_run",
        "code_scanning_alert",
        "dependabot_alert",
        "secret_scanning_alert",
        "ping",
        "issues",
        "",
    ]

    @fuzz
    @given(payload=st.dictionaries(st.sampled_from(names), objects) | json_values, event=st.sampled_from(events) | st.text(max_size=20))
    def probe(payload: Any, event: str) -> None:
        request = signed(json.dumps(payload).encode(), event, SECRET)
        try:
            found = GitHub.parse(request, verify(request))
        except InvalidInput:
            return
        for one in found:
            assert catalogue.find(one.type) is not None
            json.dumps(dict(one.data), allow_nan=False)

    probe()


def test_whatever_comes_unsigned_is_refused() -> None:
    @fuzz
    @given(
        headers=st.dictionaries(st.sampled_from(["x-hub-signature-256", "x-hub-signature", "content-type"]), st.text()), body=st.binary()
    )
    def probe(headers: dict[str, str], body: bytes) -> None:
        with pytest.raises(NotAllowed):
            verify(InboundRequest(headers, body))

    probe()
