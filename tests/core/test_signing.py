"""Signatures, held against the published vector and the independent standardwebhooks library."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
import standardwebhooks

from core import signing
from core.errors import InvalidInput
from core.signing import BadSignatureError

VECTOR_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
VECTOR_TIME = 1614265330
VECTOR_BODY = b'{"test": 2432232314}'
VECTOR_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
BODIES = [b"{}", b"", json.dumps({"a": "ü密\U0001f600"}, ensure_ascii=False).encode(), b'"' + b"x" * 5_000_000 + b'"']


def _headers(*secrets: str, body: bytes, now: int) -> dict[str, str]:
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(now),
        "webhook-signature": signing.signature_header(secrets, "evt_1", now, body),
    }


def test_the_published_vector_is_reproduced():
    assert signing.sign(VECTOR_SECRET, VECTOR_ID, VECTOR_TIME, VECTOR_BODY) == VECTOR_SIGNATURE


@pytest.mark.parametrize("body", BODIES, ids=["small", "empty", "unicode", "large"])
def test_the_reference_library_makes_and_takes_the_same_signature(body):
    secret = signing.new_secret()
    now = int(datetime.now(UTC).timestamp())
    oracle = standardwebhooks.Webhook(secret)
    assert signing.sign(secret, "evt_1", now, body) == oracle.sign("evt_1", datetime.fromtimestamp(now, UTC), body.decode())
    if body:  # the library also parses the body as JSON
        oracle.verify(body, _headers(secret, body=body, now=now))


def test_both_secrets_of_a_rotation_verify():
    old, new = signing.new_secret(), signing.new_secret()
    now = int(datetime.now(UTC).timestamp())
    headers = _headers(new, old, body=b"{}", now=now)
    assert headers["webhook-signature"].count("v1,") == 2
    for secret in (old, new):
        standardwebhooks.Webhook(secret).verify(b"{}", headers)
        signing.verify([secret], headers, b"{}", now)


def test_a_new_secret_is_random_and_good():
    secrets = {signing.new_secret() for _ in range(50)}
    assert len(secrets) == 50
    for secret in secrets:
        assert signing.check_secret(secret) == secret
        assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32


@pytest.mark.parametrize("size", [24, 25, 26, 64])
def test_a_secret_of_allowed_size_is_taken(size):
    secret = "whsec_" + base64.b64encode(bytes(size)).decode()
    assert signing.check_secret(secret) == secret
    assert signing.check_secret(secret.rstrip("=")) == secret.rstrip("=")


@pytest.mark.parametrize(
    ("secret", "sentence"),
    [
        ("", "must start with whsec_"),
        ("hunter2", "must start with whsec_"),
        ("whsk_" + "a" * 44, "must start with whsec_"),
        ("whsec_", "it holds 0"),
        ("whsec_hunter2!", "must be base64"),
        ("whsec_" + "ä" * 32, "must be base64"),
        ("whsec_" + base64.b64encode(bytes(23)).decode(), "it holds 23"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "it holds 65"),
        ("whsec_abcde", "must be base64"),
        ("whsec_" + "-_" * 20, "must be base64"),
    ],
)
def test_a_bad_secret_is_refused_without_showing_it(secret, sentence):
    with pytest.raises(InvalidInput, match=sentence) as invalid:
        signing.check_secret(secret, field="new_secret")
    assert list(invalid.value.fields) == ["new_secret"]
    if len(secret) > 10:
        assert secret.removeprefix("whsec_") not in str(invalid.value)


@pytest.mark.parametrize("offset", [-300, 0, 300])
def test_a_timestamp_within_five_minutes_verifies(offset):
    headers = _headers(VECTOR_SECRET, body=b"{}", now=1_700_000_000)
    signing.verify([VECTOR_SECRET], headers, b"{}", 1_700_000_000 + offset)


@pytest.mark.parametrize(("offset", "sentence"), [(301, "older than 300"), (-301, "from the future")])
def test_a_timestamp_outside_is_refused_both_ways(offset, sentence):
    headers = _headers(VECTOR_SECRET, body=b"{}", now=1_700_000_000)
    with pytest.raises(BadSignatureError, match=sentence):
        signing.verify([VECTOR_SECRET], headers, b"{}", 1_700_000_000 + offset)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"webhook-id": "evt_2"}, "No signature fits"),
        ({"webhook-timestamp": "1700000001"}, "No signature fits"),
        ({"webhook-signature": "v1,AAAA"}, "No signature fits"),
        ({"webhook-signature": "v1,ü"}, "other characters than printable ASCII"),
        ({"webhook-signature": VECTOR_SIGNATURE.replace("v1,", "v2,")}, "No signature fits"),
        ({"webhook-signature": ""}, "webhook-signature is missing"),
        ({"webhook-id": ""}, "webhook-id is missing"),
        ({"webhook-timestamp": ""}, "webhook-timestamp is missing"),
        ({"webhook-timestamp": "soon"}, "not a number"),
        ({"webhook-timestamp": "1700000000.5"}, "not a number"),
        ({"webhook-timestamp": "-1"}, "not a number"),
        ({"webhook-timestamp": "9" * 400}, "not a number"),
    ],
)
def test_a_changed_message_is_refused(change, sentence):
    headers = {**_headers(VECTOR_SECRET, body=b"{}", now=1_700_000_000), **change}
    with pytest.raises(BadSignatureError, match=sentence):
        signing.verify([VECTOR_SECRET], headers, b"{}", 1_700_000_000)


def test_a_changed_body_or_another_secret_is_refused():
    headers = _headers(VECTOR_SECRET, body=b"{}", now=1_700_000_000)
    with pytest.raises(BadSignatureError):
        signing.verify([VECTOR_SECRET], headers, b"{ }", 1_700_000_000)
    with pytest.raises(BadSignatureError):
        signing.verify([signing.new_secret()], headers, b"{}", 1_700_000_000)
    with pytest.raises(BadSignatureError):
        signing.verify([], headers, b"{}", 1_700_000_000)


def test_header_names_and_other_versions_do_not_matter():
    headers = {name.upper(): value for name, value in _headers(VECTOR_SECRET, body=b"{}", now=1_700_000_000).items()}
    headers["WEBHOOK-SIGNATURE"] = f"v1a,abc {headers['WEBHOOK-SIGNATURE']} v1,AAAA"
    signing.verify([VECTOR_SECRET], headers, b"{}", 1_700_000_000)


def test_signing_with_damage_raises_without_the_secret():
    with pytest.raises(ValueError, match="not base64") as damaged:
        signing.sign("whsec_!!!not-base64", "evt_1", 1, b"")
    assert "!!!" not in str(damaged.value)


def test_githubs_signature_is_over_the_body_with_the_secrets_text():
    expected = "sha256=" + hmac.new(b"It's a Secret to Everybody", b"Hello, World!", hashlib.sha256).hexdigest()
    assert signing.hub_signature_256("It's a Secret to Everybody", b"Hello, World!") == expected
    assert expected == "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
