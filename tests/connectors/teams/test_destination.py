"""Teams as a destination: cards are valid, small enough and free of others' markup, and each answer is understood."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from adaptive_cards.card import AdaptiveCard
from adaptive_cards.validation import CardValidatorFactory
from hypothesis import given, settings

from integrations.connectors.teams.connector import Teams
from integrations.connectors.teams.layout import encoded, escape, payload
from integrations.contract.outbound import DestinationAnswer, OutgoingEvent
from integrations.contract.schema import validate_values
from tests.connectors.chats import bursting, crowd, shown, texts
from tests.connectors.contract import fuzz, tried
from tests.connectors.teams.test_contract import TestTeams as Kit
from tests.connectors.told import HOSTILE, digest, gate, golden, hostile_events

# the validator reads its own models in a way that pydantic frowns upon
pytestmark = [pytest.mark.once, pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211")]
URL = (
    "https://default12.3f.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/5c/triggers/manual/paths/invoke"
)
_LINK = re.compile(r"(?<!\\)\[((?:[^\[\]\\]|\\.)*)\]\((https?://[^()\s]+)\)")


def posted(event: OutgoingEvent) -> bytes:
    return Kit().made().build(event, {}).body


def assert_taken(body: bytes) -> None:
    """Hold a message against the rules of a workflow, and its card against the schema that Teams goes by."""
    assert len(body) <= 27_000
    assert Teams.body_problems(body) == []
    message = json.loads(body)
    assert (message["type"], len(message["attachments"])) == ("message", 1)
    card = copy.deepcopy(message["attachments"][0]["content"])
    assert card.pop("msteams") == {"width": "Full"}  # not of the schema, but Teams' own
    validator = CardValidatorFactory.create_validator_microsoft_teams()
    validator.validate(AdaptiveCard.model_validate(card), debug=False)
    assert validator.details() == []
    for text in texts(card["body"]):  # no link but those that the layout made
        assert not re.search(r"(?<!\\)[\[\]<>`~#|{}&@]|://|www\.", _LINK.sub("", text).replace("\\\\", ""))


@pytest.mark.parametrize("name", shown())
def test_what_is_posted_is_as_it_was_looked_at(name: str) -> None:
    golden(Path(__file__).parent, f"{name}.json", json.loads(posted(shown()[name])))


def test_teams_takes_every_message() -> None:
    for event in crowd():
        assert_taken(posted(event))


@settings(fuzz, max_examples=20)  # the validator takes its time
@given(event=hostile_events())
def test_teams_takes_whatever_a_sender_made_up(event: OutgoingEvent) -> None:
    assert_taken(posted(event))


@pytest.mark.parametrize("text", ["x", "🙈", "<&>", "[_]\\\\"])
def test_a_message_that_is_full_in_every_part_still_fits(text: str) -> None:
    assert_taken(encoded(payload(bursting(text))))


def test_a_gate_is_told_with_everything_that_a_reader_needs() -> None:
    message = posted(gate(12)).decode()
    for part in ("Gate failed: acme/", "Branch", "Commit", "12 critical", "condition 1", "and 7 more", "Action.OpenUrl"):
        assert part in message
    assert len(_LINK.findall(message)) == 5


def test_what_is_too_long_is_cut_and_says_so() -> None:
    assert len(posted(gate(50, "🙈" * 3_000, 50))) > 10_000  # as much as fits, and not next to nothing
    told = digest([gate(1, HOSTILE * 3)] * 190, count=900)
    assert re.search(r"and 8\d\d more", posted(told).decode())


@pytest.mark.parametrize(
    "text", ["[x](javascript:1)", "![i](https://e/p.png)", "<at>all</at>", "a_b_c *d*", "- x\n1. y", "{{DATE(1)}}", "&lt;"]
)
def test_markup_of_others_is_shown_as_it_was_written(text: str) -> None:
    escaped = escape(text)
    assert re.sub(r"\\(.)", r"\1", escaped).replace("\n\n", "\n") == text
    assert not re.search(r"(?<!\\)[\[\]<>`*_~#|{}&@]|://|www\.|^(-|\d+\.) ", escaped, re.MULTILINE)


CARD = {"type": "AdaptiveCard", "version": "1.4", "body": [{"type": "TextBlock", "text": "x"}]}


def wrapped(**card: Any) -> dict[str, Any]:
    return {"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": CARD | card}]}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "not JSON"),
        ([], '"type": "message"'),
        ({"type": "message"}, "at least one card"),
        ({"type": "message", "attachments": [CARD]}, "contentType"),
        ({"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive"}]}, "content must be the card"),
        (wrapped(version="1.6"), "up to 1.5"),
        (wrapped(body=[]), "neither body nor actions"),
        (wrapped(body=[{"type": "TextBloc", "text": "x"}]), "'TextBloc' is not known"),
        (wrapped(body=[{"type": "Container", "items": [{"type": "TextBlock"}]}]), "items[0].text is missing"),
        (wrapped(actions=[{"type": "Action.Submit"}]), "can't be used"),
        (wrapped(actions=[{"type": "Action.OpenUrl", "url": "javascript:1"}]), "http(s) address"),
        (wrapped(body=[{"type": "TextBlock", "text": "ü" * 14_000}]), "Teams drops what is over 28 KB"),
    ],
)
def test_a_template_that_teams_would_lose_is_refused_before(body: Any, sentence: str) -> None:
    found = Teams.body_problems(body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode())
    assert any(sentence in one for one in found), found


def refusal(code: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": "sig=k3yK3y"}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "ok", "confirmed", "permanent", "gone", "part"),
    [
        (202, b"", True, False, False, False, ""),
        (200, b"1", True, True, False, False, ""),
        (200, b"", True, False, False, False, ""),
        (200, b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId x",
         False, True, False, False, "sent too much"),
        (200, b"<html>", False, True, False, False, "A page answered"),
        (400, refusal("TriggerInputSchemaMismatch"), False, True, True, False, "TriggerInputSchemaMismatch: the workflow's trigger"),
        (401, refusal("DirectApiAuthorizationRequired"), False, True, True, False, "(sig=…) of the URL is missing"),
        (401, b"", False, True, True, False, "copy the URL anew"),
        (403, b"no", False, True, True, False, "its owner left"),
        (404, refusal("WorkflowNotFound"), False, True, True, True, "was deleted"),
        (404, b"", False, True, True, False, "no workflow behind this URL"),
        (413, b"", False, True, True, False, "larger than Teams takes"),
    ],
)  # fmt: skip
def test_each_answer_is_understood(status: int, body: bytes, ok: bool, confirmed: bool, permanent: bool, gone: bool, part: str) -> None:
    outcome = Kit().made().judge(DestinationAnswer(status, {}, body))
    assert (outcome.ok, outcome.confirmed, outcome.permanent, outcome.gone) == (ok, confirmed, permanent, gone)
    assert part in outcome.error
    assert "k3yK3y" not in outcome.error


def test_limits_and_failures_of_the_service_are_left_to_the_status_rules() -> None:
    assert [Kit().made().judge(DestinationAnswer(status, {}, b"")) for status in (302, 408, 429, 500, 503)] == [None] * 5
    legacy = Kit().made().judge(DestinationAnswer(200, {}, b"HTTP error 429"))
    assert legacy.status == 429  # so that the webhook is held as with any 429


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (f"{URL}?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=a", ""),
        ("https://prod-01.westeurope.logic.azure.com:443/workflows/1/triggers/manual/paths/invoke?sig=a", ""),
        ("http://127.0.0.1:9000/teams", ""),
        (URL, "holds no signature"),
        ("https://acme.webhook.office.com/webhookb2/1@2/IncomingWebhook/3/4", "retired in May 2026"),
        ("https://teams.example.com/x?sig=a", "not Microsoft's"),
    ],
)
def test_the_address_has_to_be_a_workflows(settings: Any, url: str, sentence: str) -> None:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    _, refused = tried(lambda: validate_values(Teams, {}, {"webhook_url": url}))
    assert refused == (["credentials.webhook_url"] if sentence else [])
    assert not sentence or sentence in Teams.validate({}, {"webhook_url": url})["webhook_url"][0]
