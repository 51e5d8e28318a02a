"""repository_dispatch, held against GitHub's description of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from core.errors import InvalidInput
from core.http.door import BadAnswer, CallFailed, Throttled
from integrations.connectors.github.telling.dispatch import MOST_BYTES, size
from integrations.contract.outbound import NothingToTell, OutgoingEvent
from tests.connectors.github.rest_stub import Call
from tests.connectors.github.telling_kit import Teller, golden_events
from tests.connectors.told import every_type, example, golden, hostile_events, monsters, outgoing

pytestmark = pytest.mark.once
OPERATION = "POST /repos/{owner}/{repo}/dispatches"


def teller(**options: Any) -> Teller:
    return Teller({"action": "repository_dispatch", "repository": "acme/ops"} | options)


def sent(event: OutgoingEvent, **options: Any) -> dict[str, Any]:
    """Return what GitHub got."""
    tell = teller(**options)
    tell(event)
    assert tell.github.refused == []
    [body] = tell.github.made(OPERATION)
    return body  # type: ignore[no-any-return]


def within_limits(body: dict[str, Any]) -> None:
    assert 1 <= len(body["event_type"]) <= 100
    assert len(body["client_payload"]) <= 10
    assert size(body["client_payload"]) < MOST_BYTES < 64 * 1024


def test_it_sends_the_event_with_what_a_workflow_needs() -> None:
    for name, event in golden_events():
        body = sent(event)
        within_limits(body)
        if name in ("gate.failed", "finding.opened.single"):
            golden(Path(__file__).parent, f"dispatch-{name}.json", body)


def test_whatever_is_published_stays_within_githubs_limits() -> None:
    for event in [*every_type(), *monsters()]:
        within_limits(sent(event))


@settings(max_examples=30, deadline=None)
@given(event=hostile_events())
def test_hostile_events_stay_within_githubs_limits(event: OutgoingEvent) -> None:
    within_limits(sent(event))


def test_what_is_cut_says_so() -> None:
    whole = sent(outgoing("custom.x", {"notes": ["n" * 50] * 40}))["client_payload"]
    assert "cut" not in whole
    assert whole["data"] == {"notes": ["n" * 50] * 40}
    cut = sent(outgoing("custom.x", {"notes": ["n" * 5000] * 40}))["client_payload"]
    assert len(cut["data"]["notes"]) == 20
    assert all(len(one) == 1000 and one.endswith("…") for one in cut["data"]["notes"])
    assert "cut to 1,000 characters" in cut["cut"]


def test_it_is_sent_to_the_events_repository_under_its_type_unless_told_otherwise() -> None:
    tell = teller()
    del tell.options["repository"]
    assert tell(example("gate.failed")).details == {"repository": "acme/shop", "event_type": "gate.failed"}
    tell.options |= {"repository": "acme/ops", "event_type": "security"}
    assert tell(example("gate.failed", commit="")).ok  # told already
    other = teller(event_type="security")
    assert other(example("gate.failed")).details == {"repository": "acme/ops", "event_type": "security"}
    assert [call.path["repo"] for call in (*tell.github.calls, *other.github.calls)] == ["shop", "ops"]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (outgoing("build.failed", {"repository": "acme/secrets", "build_id": 1}, about=""), "not registered here"),
        (outgoing("custom.deploy", {"repository": "acme/secrets"}, about="github:acme/shop"), "not registered here"),
        (example("gate.failed", provider="gitlab"), "repository at gitlab"),
        (example("integration.unhealthy"), "names no repository"),
    ],
)
def test_an_event_that_names_no_repository_of_githubs_needs_the_option(event: OutgoingEvent, said: str) -> None:
    tell = teller()
    del tell.options["repository"]
    with pytest.raises(InvalidInput, match=said) as caught:
        tell(event)
    assert list(caught.value.fields) == ["repository"]
    assert tell.github.calls == []


def test_killed_after_the_call_it_is_sent_again_with_the_same_id_and_never_a_third_time() -> None:
    tell = teller()

    def killed(call: Call) -> None:
        raise KeyboardInterrupt

    tell.github.told[OPERATION] = killed  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        tell(example("gate.failed"))
    del tell.github.told[OPERATION]
    assert tell(example("gate.failed")).ok
    assert tell(example("gate.failed")).details["note"] == "It was sent before."
    assert [body["client_payload"]["id"] for body in tell.bodies()] == [str(example("gate.failed").id)] * 2


def test_another_delivery_of_the_event_waits_and_a_refused_one_leaves_no_trace() -> None:
    tell = teller()
    tell.memory.reserve(f"dispatch:{example('gate.failed').id}", "another")
    outcome = tell(example("gate.failed"))
    assert (outcome.ok, outcome.permanent, outcome.status) == (False, False, 409)
    assert tell.github.calls == []
    refused = teller()
    refused.github.told[OPERATION] = lambda call: (404, {"message": "Not Found"}, {})
    with pytest.raises(BadAnswer, match="hides it from these credentials"):
        refused(example("gate.failed"))
    assert refused.memory.kept == {}


@pytest.mark.parametrize(
    ("status", "body", "headers", "error", "said"),
    [
        (403, {"message": "Resource not accessible by personal access token"}, {"X-Accepted-GitHub-Permissions": "contents=write"},
         BadAnswer, r"refuses dispatches of acme/ops.*permission contents: write.*Resource not accessible"),
        (403, {"message": "You have exceeded a secondary rate limit."}, {"Retry-After": "90"}, Throttled, "rate limit"),
        (429, {"message": "API rate limit exceeded"}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9999999999"}, Throttled,
         "limit"),
        (404, {"message": "Not Found"}, {}, BadAnswer, "knows no dispatches of acme/ops, or hides it"),
        (410, {"message": "Gone"}, {}, BadAnswer, "switched off in the settings"),
        (422, {"message": "Validation Failed", "errors": [{"field": "event_type", "code": "invalid"}]}, {}, BadAnswer,
         r"Refused: event_type: invalid\. GitHub says: Validation Failed\."),
        (503, {"message": "Unavailable"}, {}, BadAnswer, "503"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_mends_it(status: int, body: Any, headers: dict[str, str], error: type[Exception], said: str) -> None:
    tell = teller()
    tell.github.told[OPERATION] = lambda call: (status, body, headers)
    with pytest.raises(error, match=said) as caught:
        tell(example("gate.failed"))
    if isinstance(caught.value, BadAnswer):
        assert caught.value.permanent == (status < 500)
    assert not isinstance(caught.value, CallFailed)


def test_a_test_is_sent_to_a_named_repository_only() -> None:
    assert sent(example("webhook.test"))["event_type"] == "webhook.test"
    tell = teller()
    del tell.options["repository"]
    with pytest.raises(NothingToTell, match="about no repository"):
        tell(example("webhook.test"))
    assert tell.github.calls == []
