"""Azure and Google: which requests leave, through the door alone, and what their refusals mean."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from core.http.door import BadAnswer, SignInFailed
from integrations.connectors.storage.connector import PROBE, Storage
from integrations.contract.schema import validate_values
from tests.connectors.contract import ConnectorContract, DictMemory
from tests.connectors.door import Answer, answer
from tests.connectors.told import ID, gate

pytestmark = pytest.mark.once
PATH = f"events/2026/11/20/gate.failed/acme/shop/{ID}.json"


@cache
def service_account() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    return json.dumps({
        "type": "service_account", "project_id": "acme", "private_key_id": "1", "private_key": pem,
        "client_email": "repoguard@acme.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
    })  # fmt: skip


class TestAzure(ConnectorContract):
    connector = Storage
    good_answers = (
        Answer(201, b""),
        Answer(200, PROBE, {"Content-Type": "text/plain", "ETag": '"1"', "Content-Range": f"bytes 0-{len(PROBE) - 1}/{len(PROBE)}"}),
        Answer(202, b""),
    )
    sent_answers = (Answer(201, b""),)

    def values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        config = {"place": "azure", "account_name": "acme", "container": "repoguard", "prefix": "portal"}
        return validate_values(Storage, config, {"account_key": "c2VjcmV0LWtleQ=="})


class TestGoogle(ConnectorContract):
    connector = Storage
    good_answers = (
        answer({"access_token": "ya29.t0k", "expires_in": 3600}), answer({"name": "x"}), Answer(200, PROBE), Answer(204, b""),
    )  # fmt: skip
    sent_answers = (answer({"access_token": "ya29.t0k", "expires_in": 3600}), answer({"name": "x"}))
    # each send() fetches a token by POST, and a POST with the same name replaces the object
    repeats_are_harmless = True

    def values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return validate_values(Storage, {"place": "gcs", "bucket": "acme-repoguard"}, {"service_account": service_account()})


def test_a_blob_is_one_signed_put() -> None:
    made = TestAzure().made(Answer(201, b""))
    assert made.send(gate(1), {}, DictMemory()).ok
    (call,) = made.door.calls
    assert (call.method, call.url.partition("?")[0]) == ("PUT", f"https://acme.blob.core.windows.net/repoguard/portal/{PATH}")
    assert call.headers["x-ms-blob-type"] == "BlockBlob"
    assert call.headers["x-ms-blob-content-type"] == "application/json"
    assert call.headers["Authorization"].startswith("SharedKey acme:")
    assert call.body == gate(1).body


def test_an_object_is_one_upload_with_a_token_of_the_given_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")  # nothing of the environment counts
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://192.0.2.1")
    made = TestGoogle().made(*TestGoogle.sent_answers)
    assert made.send(gate(1), {}, DictMemory()).ok
    assert len(made.door.calls) == 2, [call.url for call in made.door.calls]
    token, upload = made.door.calls
    assert (token.method, token.url) == ("POST", "https://oauth2.googleapis.com/token")
    assert token.body.startswith(b"assertion=")
    assert upload.url.startswith("https://storage.googleapis.com/upload/storage/v1/b/acme-repoguard/o?uploadType=multipart")
    assert upload.headers["Authorization"] == "Bearer ya29.t0k"
    assert f'"name": "{PATH}"'.encode() in upload.body
    assert gate(1).body in upload.body


def test_refusals_are_explained() -> None:
    azure = b"<?xml version='1.0'?><Error><Code>ContainerNotFound</Code><Message>The specified container does not exist.</Message></Error>"
    with pytest.raises(BadAnswer, match=r"Azure answered 404 \(ContainerNotFound: .*\)\. Make the container"):
        TestAzure().made(Answer(404, azure)).send(gate(1), {}, DictMemory())
    google = answer({"error": {"code": 403, "message": "does not have storage.objects.create access"}}, 403)
    with pytest.raises(BadAnswer, match=r"does not have storage\.objects\.create access"):
        TestGoogle().made(TestGoogle.sent_answers[0], google).send(gate(1), {}, DictMemory())
    account = json.dumps(json.loads(service_account()) | {"private_key": "-----BEGIN PRIVATE KEY-----"})
    config, credentials = validate_values(Storage, {"place": "gcs", "bucket": "acme-repoguard"}, {"service_account": account})
    with pytest.raises(SignInFailed, match="can't be read"):
        TestGoogle().made(Answer(200), config=config, credentials=credentials).send(gate(1), {}, DictMemory())


def test_of_a_service_accounts_file_only_the_proof_counts() -> None:
    more = {"universe_domain": "example.net", "quota_project_id": "somebody-elses", "trust_boundary": {"locations": ["x"]}}
    account = json.dumps(json.loads(service_account()) | more)
    config, credentials = validate_values(Storage, {"place": "gcs", "bucket": "acme-repoguard"}, {"service_account": account})
    made = TestGoogle().made(*TestGoogle.sent_answers, config=config, credentials=credentials)
    assert made.send(gate(1), {}, DictMemory()).ok
    assert "x-goog-user-project" not in made.door.calls[-1].headers
