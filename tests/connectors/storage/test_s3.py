"""S3 over real HTTP, against moto's server: what arrives there, how it is signed, and what its refusals mean."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from core.errors import AddressRefused
from core.models import RequestLog
from core.models.outbound import CallPurpose
from integrations.calls import connector_for
from integrations.checking import run_check
from integrations.connectors.storage.connector import Storage
from integrations.contract.schema import validate_values
from integrations.models import Integration
from tests.connectors.contract import DictMemory
from tests.connectors.door import Answer, FakeDoor
from tests.connectors.storage.s3_server import s3
from tests.connectors.told import ID, gate

pytestmark = [pytest.mark.django_db, pytest.mark.once]
SECRET = "Ju5tAs3cret/0f+m1ne"
AWS = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": SECRET, "region_name": "eu-central-1"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3() as address:
        yield address


@pytest.fixture
def bucket(server: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    monkeypatch.setenv("AWS_S3_SESSION_PROFILE", "nobody")  # nothing of the environment counts
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://192.0.2.1/")
    client = boto3.client("s3", endpoint_url=server, **AWS)
    client.create_bucket(Bucket="acme-repoguard", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield client
    for found in client.list_objects_v2(Bucket="acme-repoguard").get("Contents", []):
        client.delete_object(Bucket="acme-repoguard", Key=found["Key"])
    client.delete_bucket(Bucket="acme-repoguard")


def integration(server: str, **config: Any) -> Integration:
    values = {"bucket": "acme-repoguard", "region": "eu-central-1", "endpoint_url": server, "addressing_style": "path", "prefix": "portal"}
    clean, secret = validate_values(Storage, values | {"access_key_id": AWS["aws_access_key_id"]} | config, {"secret_access_key": SECRET})
    return Integration.objects.create(name="Archive", type="storage", category="storage", config=clean, credentials=secret)


def test_an_event_is_one_object_and_a_repeated_one_the_same(server: str, bucket: Any) -> None:
    store: Any = connector_for(integration(server), CallPurpose.DESTINATION)
    event = gate(3)
    outcome = store.send(event, {}, DictMemory())
    name = f"portal/events/2026/11/20/gate.failed/acme/shop/{ID}.json"
    assert outcome.details == {"object": name, "bytes": len(event.body)}
    assert store.send(event, {}, DictMemory()).details == outcome.details
    assert [found["Key"] for found in bucket.list_objects_v2(Bucket="acme-repoguard")["Contents"]] == [name]
    stored = bucket.get_object(Bucket="acme-repoguard", Key=name)
    assert stored["Body"].read() == event.body
    assert stored["ContentType"] == "application/json"
    calls = list(RequestLog.objects.all())
    assert {(call.method, call.outcome, call.address) for call in calls} == {("PUT", "success", "127.0.0.1")}
    assert len(calls) == 2
    assert SECRET not in str([call.__dict__ for call in calls])


def test_a_check_writes_reads_and_deletes(server: str, bucket: Any) -> None:
    report = run_check(integration(server))
    assert (report.ok, report.message) == (True, "An object was written, read and deleted.")
    assert "Contents" not in bucket.list_objects_v2(Bucket="acme-repoguard")


def test_what_is_wrong_is_said(server: str, bucket: Any, settings: Any) -> None:
    report = run_check(integration(server, bucket="nobodys-bucket"))
    assert not report.ok
    assert "NoSuchBucket" in report.message
    assert report.message.endswith("Make the bucket, or correct its name.")
    row = integration(server)
    settings.EGRESS_ALLOW_CIDRS = []
    with pytest.raises(AddressRefused):
        connector_for(row, CallPurpose.DESTINATION).send(gate(1), {}, DictMemory())  # type: ignore[attr-defined]


def test_nothing_that_is_signed_is_lost_on_the_way() -> None:
    from tests.connectors.storage.test_contract import TestStorage

    made = TestStorage().made(Answer(200, b""))
    made.send(gate(1), {}, DictMemory())
    door: FakeDoor = made.door
    (call,) = door.calls
    assert call.url.startswith("https://acme-repoguard.s3.eu-central-1.amazonaws.com/repoguard/events/2026/")
    signed = re.search(r"SignedHeaders=([^,]+)", call.headers["Authorization"])
    assert signed is not None
    assert set(signed[1].split(";")) - {name.lower() for name in call.headers} == {"host"}
    assert not any("checksum" in name.lower() or "trailer" in name.lower() for name in call.headers)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<Error><Code>SignatureDoesNotMatch</Code><Message>The signature</Message></Error>", "refused the credentials (SignatureDoesNot"),
        (b"<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>", "Give the key the right to write"),
    ],
)
def test_refusals_are_explained(body: bytes, words: str) -> None:
    from core.errors import OutboundError
    from tests.connectors.storage.test_contract import TestStorage

    with pytest.raises(OutboundError) as caught:
        TestStorage().made(Answer(403, body)).send(gate(1), {}, DictMemory())
    assert words in caught.value.message
    assert caught.value.permanent


@pytest.mark.parametrize("body", [b"{}", b"<a>", b"[" * 100_000, b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"])
def test_what_is_not_s3_is_explained(body: bytes) -> None:
    from core.http.door import BadAnswer
    from tests.connectors.storage.test_contract import TestStorage

    with pytest.raises(BadAnswer, match=r"is not S3|read back as something else"):
        TestStorage().made(Answer(200, body)).check()
    with contextlib.suppress(BadAnswer):  # and nothing else
        TestStorage().made(Answer(200, body)).send(gate(1), {}, DictMemory())
