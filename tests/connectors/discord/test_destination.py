"""Discord as a destination: embeds keep its limits and hold nobody's markup, and each answer is understood."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from integrations.connectors.discord.connector import Discord
from integrations.connectors.discord.layout import escape, payload
from integrations.contract.outbound import DestinationAnswer, OutgoingEvent
from integrations.contract.schema import validate_options, validate_values
from tests.connectors.chats import bursting, crowd, shown, texts
from tests.connectors.contract import fuzz, tried
from tests.connectors.discord.test_contract import TestDiscord as Kit
from tests.connectors.told import HOSTILE, gate, golden, hostile_events

pytestmark = pytest.mark.once
URL = "https://discord.com/api/webhooks/100000000000000000/k3yK3yk3yK3yk3yK3y"
_LINK = re.compile(r"(?<!\\)\[((?:[^\[\]\\]|\\.)*)\]\((https?://[^()\s]+)\)")


def posted(event: OutgoingEvent, **options: Any) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(Kit().made().build(event, options).body)
    return message


def length(text: str) -> int:
    """Count as JavaScript counts, and with it Discord's own library."""
    return len(text.encode("utf-16-le")) // 2


def assert_taken(message: dict[str, Any]) -> None:
    """Count every limit of an embed; tests/oracles/discord.mjs holds the golden files against Discord's own library."""
    (embed,) = message["embeds"]
    assert message["allowed_mentions"] == {"parse": []}
    assert 0 < length(embed["title"]) <= 256
    assert 0 < length(embed.get("description", "x")) <= 4096
    assert 0 < length(embed["footer"]["text"]) <= 2048
    assert len(embed["fields"]) <= 25
    for field in embed["fields"]:
        assert 0 < length(field["name"]) <= 256
        assert 0 < length(field["value"]) <= 1024
    total = [embed["title"], embed.get("description", ""), embed["footer"]["text"]]
    total += [field[name] for field in embed["fields"] for name in ("name", "value")]
    assert sum(map(length, total)) <= 6000
    assert 0 <= embed["color"] <= 0xFFFFFF
    assert embed.get("url", "https://").startswith(("https://", "http://"))
    assert Discord.body_problems(json.dumps(message).encode()) == []
    for text in texts({name: value for name, value in embed.items() if name not in ("url", "footer")}):
        plain = _LINK.sub("", text).replace("\\\\", "")
        assert not re.search(r"(?<!\\)[\[\]<>`_~|]|://|@(?!\u200b)", plain)


@pytest.mark.parametrize("name", shown())
def test_what_is_posted_is_as_it_was_looked_at(name: str) -> None:
    golden(Path(__file__).parent, f"{name}.json", posted(shown()[name]))


def test_discord_takes_every_message() -> None:
    for event in crowd():
        assert_taken(posted(event))
        assert length(posted(event, new_thread=True)["thread_name"]) <= 100


@fuzz
@given(event=hostile_events())
def test_discord_takes_whatever_a_sender_made_up(event: OutgoingEvent) -> None:
    assert_taken(posted(event))


@pytest.mark.parametrize("text", ["x", "🙈", "<&>", "[_]\\\\"])
def test_a_message_that_is_full_in_every_part_still_fits(text: str) -> None:
    assert_taken(payload(bursting(text)))


def test_a_gate_is_told_with_everything_that_a_reader_needs() -> None:
    message = json.dumps(posted(gate(12)), ensure_ascii=False)
    for part in ("Gate failed: acme/", "Branch", "Commit", "12 critical", "condition 1", "and 7 more", '"url": "https://repoguard'):
        assert part in message
    assert len(_LINK.findall(message)) == 5


@pytest.mark.parametrize(
    "text", ["[x](js:1)", "@everyone", "<@1> <#2> <t:3>", "a_b_c *d* ||e||", "# x\n- y\n1. z\n> q", "https://e.example"]
)
def test_markup_of_others_is_shown_as_it_was_written(text: str) -> None:
    escaped = escape(text)
    assert re.sub(r"\\(.)", r"\1", escaped).replace("\u200b", "") == text
    assert not re.search(r"(?<!\\)[\[\]<>`*_~|]|://|@(?!\u200b)|^(#|-|\d+\.) ", escaped, re.MULTILINE)


def test_an_address_keeps_its_query_and_gets_the_thread() -> None:
    made = Kit().made(credentials={"webhook_url": f"{URL}?thread_id=5"})
    assert made.build(gate(1), {}).url == f"{URL}?thread_id=5&wait=true"
    assert Kit().made(credentials={"webhook_url": URL}).build(gate(1), {"thread_id": "7"}).url == f"{URL}?wait=true&thread_id=7"
    assert tried(lambda: validate_options(Discord, {"thread_id": "7", "new_thread": True}, config={}))[1] == ["destination.new_thread"]


EMBED: dict[str, Any] = {"title": "x"}


def wrapped(**embed: Any) -> dict[str, Any]:
    return {"embeds": [EMBED | embed], "allowed_mentions": {"parse": []}}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "not JSON"),
        ([], "JSON object"),
        ({"content": "x"}, "allowed_mentions"),
        ({"allowed_mentions": {"parse": []}}, "nothing to post"),
        (wrapped() | {"content": "x" * 2001}, "Discord takes 2,000"),
        (wrapped() | {"embeds": [EMBED] * 11}, "at most 10"),
        (wrapped() | {"flags": 1 << 15}, "version 2"),
        (wrapped(title="🙈" * 129), "title has 258 characters"),
        (wrapped(description="x" * 4097), "Discord takes 4,096"),
        (wrapped(url="javascript:1"), "http(s) address"),
        (wrapped(color="red"), "whole number"),
        (wrapped(fields=[{"name": "a", "value": "b"}] * 26), "at most 25"),
        (wrapped(fields=[{"name": "a", "value": ""}]), "neither empty"),
        (wrapped(fields=[{"name": "a", "value": "x" * 1025}]), "Discord takes 1,024"),
        (wrapped(footer={"text": "x" * 2049}), "Discord takes 2,048"),
        ({"embeds": [EMBED | {"description": "x" * 3001}] * 2, "allowed_mentions": {"parse": []}}, "6,004 characters together"),
    ],
)
def test_a_template_that_discord_would_refuse_is_refused_before(body: Any, sentence: str) -> None:
    found = Discord.body_problems(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert any(sentence in one for one in found), found


FORM = {
    "code": 50035,
    "message": "Invalid Form Body",
    "errors": {"embeds": {"0": {"title": {"_errors": [{"message": "Must be 256 or fewer."}]}}}},
}


@pytest.mark.parametrize(
    ("status", "said", "ok", "permanent", "gone", "part"),
    [
        (200, {"id": "1", "type": 0}, True, False, False, ""),
        (200, "<html>", False, False, False, "not with a message"),
        (400, FORM, False, True, False, "breaks a limit (embeds.0.title: Must be 256 or fewer)"),
        (400, {"code": 220001, "message": "x"}, False, True, False, "switch on new_thread"),
        (401, {"code": 0, "message": "401: Unauthorized"}, False, True, True, "not valid any more"),
        (401, "proxy", False, True, False, "not valid any more"),
        (404, {"code": 10015, "message": "Unknown Webhook"}, False, True, True, "404 (10015): the webhook was deleted"),
        (404, {"code": 10003, "message": "Unknown Channel"}, False, True, False, "Correct thread_id"),
        (404, "nginx", False, True, False, "does not know this webhook"),
    ],
)
def test_each_answer_is_understood(status: int, said: Any, ok: bool, permanent: bool, gone: bool, part: str) -> None:
    outcome = Kit().made().judge(DestinationAnswer(status, {}, json.dumps(said).encode()))
    assert (outcome.ok, outcome.permanent, outcome.gone) == (ok, permanent, gone)
    assert part in outcome.error


def test_a_limit_says_in_its_body_how_long_to_wait() -> None:
    outcome = Kit().made().judge(DestinationAnswer(429, {}, b'{"message": "x", "retry_after": 0.65, "global": false}'))
    assert (outcome.ok, outcome.permanent, outcome.retry_after, outcome.status) == (False, False, 0.65, 429)
    huge = b'{"retry_after": 1%b}' % (b"0" * 400)
    for body in (b"", b'{"retry_after": "x"}', b'{"retry_after": NaN}', b'{"retry_after": -1}', b'{"retry_after": true}', huge):
        assert Kit().made().judge(DestinationAnswer(429, {"Retry-After": "3"}, body)) is None
    assert [Kit().made().judge(DestinationAnswer(status, {}, b"{}")) for status in (204, 302, 408, 500, 503)] == [None] * 5


def test_what_discord_repeats_of_the_address_is_masked() -> None:
    made = Kit().made(credentials={"webhook_url": URL})
    errors = {"x": {"_errors": [{"message": "bad token k3yK3yk3yK3yk3yK3y"}]}}
    outcome = made.judge(DestinationAnswer(400, {}, json.dumps({"code": 50035, "errors": errors}).encode()))
    assert "bad token" in outcome.error
    assert "k3y" not in outcome.error


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (URL, ""),
        (URL.replace("discord.com/api", "canary.discord.com/api/v10"), ""),
        ("http://127.0.0.1:9000/api/webhooks/1/x", ""),
        (f"{URL}/slack", "leave that off"),
        ("https://discord.com/channels/1/2", "not that of a webhook"),
        ("https://discord.com.evil.example/api/webhooks/1/x", "not Discord's"),
    ],
)
def test_the_address_has_to_be_that_of_a_webhook(settings: Any, url: str, sentence: str) -> None:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    _, refused = tried(lambda: validate_values(Discord, {}, {"webhook_url": url}))
    assert refused == (["credentials.webhook_url"] if sentence else [])
    assert not sentence or sentence in Discord.validate({}, {"webhook_url": url})["webhook_url"][0]


def test_nobody_is_called() -> None:
    message = json.dumps(posted(gate(3, HOSTILE, repository=HOSTILE)), ensure_ascii=False)
    assert "@\u200beveryone" in message
    assert not re.search(r"@(everyone|here)|(?<!\\)<@", message)
