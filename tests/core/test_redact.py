"""What logs may show. The secrets here are made up."""

from __future__ import annotations

import json

import pytest

from core import redact

TOKEN = "Ab1" * 12


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "cookie",
        "Set-Cookie",
        "X-Api-Key",
        "X-Auth-Token",
        "webhook-signature",
        "X-Hub-Signature-256",
        "Proxy-Authorization",
        "X-Anything-Else",
    ],
)
def test_a_header_that_is_not_known_to_be_harmless_is_masked(name):
    assert redact.headers({name: "value"}) == {name: "***"}


def test_harmless_headers_are_shown():
    headers = {"Content-Type": "application/json", "webhook-id": "evt_1", "webhook-timestamp": "1", "Retry-After": "5", "DATE": "today"}
    assert redact.headers(headers) == headers


def test_a_header_can_be_named_secret():
    assert redact.headers({"Server": "inner-7", "Date": "today"}, secret_names=["SERVER"]) == {"Server": "***", "Date": "today"}


def test_the_address_in_a_location_header_is_redacted():
    assert redact.header("location", "https://u:p@example.com/?token=abc&a=1") == "https://example.com/?token=***&a=1"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@example.com/x", "https://example.com/x"),
        ("https://example.com/x?token=abc&page=2", "https://example.com/x?token=***&page=2"),
        (
            "https://example.com/x?api_key=abc&apikey=d&sig=e&Key=f&code=g&X-Amz-Signature=h",
            "https://example.com/x?api_key=***&apikey=***&sig=***&Key=***&code=***&X-Amz-Signature=***",
        ),
        ("https://example.com/x#token=abc", "https://example.com/x"),
        ("https://example.com/x?" + TOKEN, "https://example.com/x?***"),
        ("https://example.com/x?v=" + TOKEN, "https://example.com/x?v=***"),
        ("https://hooks.slack.com/services/T000/B000/XXXX", "https://hooks.slack.com/services/***/***/***"),
        (
            "https://acme.webhook.office.com/webhookb2/guid@tenant/IncomingWebhook/abc/def",
            "https://acme.webhook.office.com/***/***/***/***/***",
        ),
        ("https://events.pagerduty.com/integration/abc/enqueue", "https://events.pagerduty.com/integration/***/***"),
        ("https://events.eu.pagerduty.com/v2/change/enqueue", "https://events.eu.pagerduty.com/v2/change/enqueue"),
        ("https://events.pagerduty.com/v2/enqueue", "https://events.pagerduty.com/v2/enqueue"),
        ("https://discord.com/api/webhooks/123/abc", "https://discord.com/api/webhooks/***/***"),
        ("https://api.telegram.org/bot123:ABC/sendMessage", "https://api.telegram.org/***/***"),
        ("https://example.com/hook/" + TOKEN + "/x", "https://example.com/hook/***/x"),
        ("https://example.com/hook/rg_" + "a" * 20, "https://example.com/hook/***"),
        ("https://example.com:8443/a/b?c=d&e", "https://example.com:8443/a/b?c=d&e"),
        ("https://example.com/01938f0e-0000-7000-8000-000000000000", "https://example.com/01938f0e-0000-7000-8000-000000000000"),
        ("https://example.com/commit/" + "a1" * 20, "https://example.com/commit/" + "a1" * 20),
        ("https://example.com/a-rather-long-repository-name-2026", "https://example.com/a-rather-long-repository-name-2026"),
        ("/relative/path?password=x", "/relative/path?password=***"),
        ("//example.com/x?password=x", "//example.com/x?password=***"),
        ("https://[::1/", "***"),
        ("https://notslack.com/services/T000", "https://notslack.com/services/T000"),
        ("", ""),
        ("https://bücher.example/ü?tökén=ü", "https://bücher.example/ü?tökén=ü"),
    ],
)
def test_a_url_shows_no_credentials(url, shown):
    assert redact.url(url) == shown


SECRETS = [
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "rg_" + "a1B2" * 10,
    "ghp_" + "a1B2" * 9,
    "ghs_" + "a1B2" * 9,
    "github_pat_" + "a1_B2" * 9,
    "glpat-" + "a1B2-" * 4,
    "AKIA" + "ABCD1234" * 2,
    "xoxb-123456789012-abcdefghij",
    "xapp-1-A123-456",
    "sk-" + "a1B2" * 8,
    "snyk_uat_" + "a1B2" * 6,
    "npm_" + "a1B2" * 9,
    "SG." + "a1B2" * 5 + "." + "c3D4" * 5,
    "AIza" + "a1B2c" * 7,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "frame", ["{}", "got {} from you", "'{}'", '{{"a": "{}"}}', "x={}&y=1", "https://example.com/{}/x", "ü{}ü", "{},{}"]
)
def test_known_secrets_vanish_from_a_body(secret, frame):
    text = frame.replace("{}", secret).replace("{{", "{").replace("}}", "}")
    assert secret not in redact.body(text)
    assert "***" in redact.body(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"password": "hunter2", "user": "bob"}', '{"password": "***", "user": "bob"}'),
        ('{"user_password":"a\\"b","x":1}', '{"user_password":"***","x":1}'),
        ('{"apiKey":"abc"}', '{"apiKey":"***"}'),
        ("{'token' => 'abc', 'b' => 'c'}", "{'token' => '***', 'b' => 'c'}"),
        ('"{\\"secret\\":\\"abc\\",\\"b\\":\\"c\\"}"', '"{\\"secret\\":\\"***\\",\\"b\\":\\"c\\"}"'),
        ("client_secret=abc&grant=x", "client_secret=***&grant=x"),
        ("<Password>abc</Password><a>b</a>", "<Password>***</Password><a>b</a>"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic ***"),
        ("Authorization: abc123", "Authorization: ***"),
        ("bearer%20abcdef0123", "bearer%20***"),
        ('{"token": null, "token_expires_in": 3600, "has_token": true}', '{"token": null, "token_expires_in": 3600, "has_token": true}'),
        ("Basic authentication required; the token expired yesterday", "Basic authentication required; the token expired yesterday"),
        ('{"error": "invalid_token", "status": "401"}', '{"error": "invalid_token", "status": "401"}'),
        ("see https://docs.example.com/a?b=c#d for help", "see https://docs.example.com/a?b=c#d for help"),
        ("POST https://u:p@example.com/a failed", "POST https://example.com/a failed"),
        ("use https://hooks.slack.com/services/T1/B1/abc now", "use https://hooks.slack.com/services/***/***/*** now"),
        ("password: geheim-ü-密码, ok", "password: ***, ok"),
        ("", ""),
    ],
)
def test_fields_that_sound_secret_are_masked_and_the_rest_stays(text, shown):
    assert redact.body(text) == shown
    assert redact.text(text) == shown


def test_private_keys_vanish_also_when_cut_off():
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n-----END RSA PRIVATE KEY-----"
    assert redact.body(f"a {key} b {key} c") == "a *** b *** c"
    assert redact.body("a -----BEGIN PRIVATE KEY-----\nMIIEabc") == "a ***"
    assert redact.body("no PRIVATE KEY----- here") == "no PRIVATE KEY----- here"


def test_redacting_twice_changes_nothing():
    text = json.dumps({"password": "a", "b": SECRETS, "c": "Bearer abc123def", "d": "https://u:p@example.com/?key=1"})
    once = redact.body(text)
    assert redact.body(once) == once
    assert json.loads(once)["password"] == "***"


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "eyJaaaaaaaa-",
        "eyJaaaaaaaa.",
        "secret",
        "secret=",
        'secret="',
        'secret=\\"',
        "token:'\\",
        "bearer ",
        "https://",
        "https://a/?",
        "-----BEGIN PRIVATE KEY-----",
        "SG.aaaaaaaaaaaaaaaa.",
        "glpat-aaaaaaaaaaaa",
        " ",
        "密码",
        "password_",
        "=:",
    ],
)
def test_a_large_hostile_text_is_redacted_in_linear_time(piece):
    # quadratic patterns would take minutes here
    assert redact.body(piece * (1_000_000 // len(piece))) is not None


@pytest.mark.once
@pytest.mark.parametrize("word", [*redact._WORDS, *redact._SCHEMES, *redact._PREFIXES, "-----BEGIN PRIVATE KEY-----", "://"])
def test_no_text_is_taken_for_harmless_that_has_a_word_to_look_at(word):
    for text in (word, word.upper(), f"é\n{word}x", f"İ{word}"):
        assert not redact.is_harmless(text)
    assert redact.is_harmless("Untrusted data flows into call number 17 of the café's handler.")
