"""Taking requests in: what is stored, what is refused and how, in how many statements and how much memory."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.throttling import FAILURES_PER_MINUTE
from core import prepared
from tests.factories import statements
from tests.plans import plan, rows_read
from tests.webhooks.inbound_kit import SECRET, Sender, Told, digest, send, source, url, work_off
from tests.webhooks.inbound_kit import sender as sender
from webhooks import secrets
from webhooks.inbound import body as bodies
from webhooks.inbound import receive, storing
from webhooks.inbound.keeping import kept_request
from webhooks.models import Receipt, ReceiptPart

pytestmark = pytest.mark.django_db


def only() -> Receipt:
    return Receipt.objects.get()


def test_an_authentic_request_is_stored_and_answered_with_its_id(sender: list[int]) -> None:
    to = source()
    answer = send(to, {"a": 1}, id="d-1", event="thing.done", **{"User-Agent": "sender/1"})
    receipt = only()
    assert (answer.status_code, answer.json()) == (202, {"id": str(receipt.id)})
    assert (receipt.verdict, receipt.outcome, receipt.dedupe_id, receipt.event) == ("accepted", "waiting", "d-1", "thing.done")
    assert (receipt.size, receipt.body_hash) == (8, digest(b'{"a": 1}'))
    kept = kept_request(receipt)
    assert (kept.body, kept.headers["user-agent"], kept.headers["content-type"]) == (b'{"a": 1}', "sender/1", "application/json")
    assert sender == [1]


@pytest.mark.parametrize(
    "path", ["/api/v1/webhook/sender/{}", "/api/v1/webhook/sender/{}/", "/api/webhook/sender/{}", "/api/webhook/sender/{}/"]
)
def test_every_spelling_of_the_address_receives(path: str) -> None:
    assert send(path.format(source().pk)).status_code == 202


@pytest.mark.parametrize("path", ["/api/v1/webhook/sender", "/api/v1/webhook/sender/", "/api/webhook/sender"])
def test_the_default_source_receives_without_an_id(path: str) -> None:
    source()
    answer = send(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    default = source(is_default=True)
    assert send(path).status_code == 202
    assert only().source_id == default.id


@pytest.mark.parametrize("place", ["nosuch/{}", "deaf/{}", "http/{}", "sender/not-an-id", "sender/0192f0c1-2b3c-7d4e-8f50-61728394a5b6"])
def test_there_is_nothing_at_other_addresses(place: str) -> None:
    answer = send(f"/api/v1/webhook/{place.format(source().pk)}")
    assert answer.status_code == 404
    assert set(answer.json()) == {"code", "message", "fields", "request_id"}
    assert not Receipt.objects.exists()


def test_head_says_that_somebody_is_there_and_other_methods_are_refused() -> None:
    path = url(source())
    assert Client().head(path).status_code == 200
    answer = Client().get(path)
    assert (answer.status_code, answer.json()["code"], answer["Allow"]) == (405, "method_not_allowed", "HEAD, POST")


def test_a_wrong_signature_is_refused_and_kept_with_its_reason(sender: list[int]) -> None:
    to = source()
    body = b"x" * 100_000
    answer = send(to, body, secret="another", id="d-1", Authorization="Bearer planted-abcdef")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    receipt = only()
    assert (receipt.verdict, receipt.outcome, receipt.state, receipt.dedupe_id) == ("refused", "", "done", "")
    assert "signature" in receipt.reason
    assert (receipt.size, receipt.body_hash) == (100_000, digest(body))
    kept = kept_request(receipt)
    assert (len(kept.body), kept.headers["authorization"]) == (64 * 1024, "***")
    to.refresh_from_db()
    assert to.refused_count == 1
    assert (sender, work_off()) == ([], 0)


def test_the_old_secret_verifies_until_its_overlap_ends() -> None:
    to = source(secrets=secrets.rotated(secrets.initial(SECRET), "new-secret-1", 1))
    assert [send(to, secret=secret).status_code for secret in (SECRET, "new-secret-1")] == [202, 202]
    to.secrets[1]["expires_at"] = timezone.now().isoformat()
    to.save()
    assert [send(to, secret=secret).status_code for secret in (SECRET, "new-secret-1")] == [403, 202]


def test_a_source_without_a_secret_refuses() -> None:
    assert send(source(secrets=[])).status_code == 403


def test_an_inactive_source_stores_nothing() -> None:
    answer = send(source(active=False))
    assert (answer.status_code, answer.json()["code"]) == (403, "source_inactive")
    assert not Receipt.objects.exists()


def test_the_allow_list_believes_only_our_own_proxies(settings: Any) -> None:
    to = source(allowed_cidrs=["203.0.113.0/24"])
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    answer = send(to, {"a": 1}, **forwarded)
    assert (answer.status_code, answer.json()["code"]) == (403, "address_not_allowed")
    assert (only().verdict, only().size, only().remote_address) == ("refused", 0, "127.0.0.1")
    settings.TRUSTED_PROXIES = ["127.0.0.0/8"]
    assert send(to, {"a": 1}, **forwarded).status_code == 202


def test_failed_verifications_are_limited_and_authentic_requests_are_not() -> None:
    to = source()
    codes = [send(to, secret="wrong").status_code for _ in range(FAILURES_PER_MINUTE + 3)]
    assert codes == [403] * FAILURES_PER_MINUTE + [429] * 3
    assert Receipt.objects.count() == FAILURES_PER_MINUTE
    assert send(to).status_code == 202


def test_many_addresses_fill_no_disk(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TRUSTED_PROXIES = ["127.0.0.0/8"]
    monkeypatch.setattr(receive, "KEPT_A_MINUTE", 2)
    monkeypatch.setattr(receive, "REFUSED_A_MINUTE", 3)
    to = source()
    answers = [send(to, b"x" * 1000, secret="wrong", **{"X-Forwarded-For": f"203.0.113.{number}"}) for number in range(5)]
    assert [answer.status_code for answer in answers] == [403, 403, 403, 429, 429]
    assert answers[3]["Retry-After"]
    kept = [kept_request(receipt) for receipt in Receipt.objects.order_by("id")]
    assert [(len(request.body), bool(request.headers)) for request in kept] == [(1000, True), (1000, True), (0, False)]
    last = Receipt.objects.latest("id")
    assert (last.size, last.body_hash, receive._NOT_KEPT in last.reason) == (1000, digest(b"x" * 1000), True)
    assert send(source(name="another"), secret="wrong").status_code == 403
    assert send(to).status_code == 202


def test_a_form_reaches_the_receiver_to_the_byte() -> None:
    body = b"payload=%7B%22a%22%3A1%7D&x=%ff"
    assert send(source(), body, content_type="application/x-www-form-urlencoded").status_code == 202
    assert kept_request(only()).body == body


def test_secrets_in_headers_are_not_kept() -> None:
    assert send(source(), **{"X-Token": SECRET, "Cookie": "sid=planted", "Authorization": "Basic cGxhbnRlZA=="}).status_code == 202
    headers = kept_request(only()).headers
    assert [headers[name] for name in ("x-token", "cookie", "authorization")] == ["***"] * 3


def test_what_the_platform_waits_for_is_answered() -> None:
    Told.answer = {"challenge": "abc"}
    answer = send(source())
    assert (answer.status_code, answer.json()) == (200, {"challenge": "abc"})
    assert only().verdict == "accepted"


def test_a_large_body_is_kept_in_pieces(settings: Any) -> None:
    body = json.dumps({"text": "abcdefgh" * 400_000}).encode()
    assert send(source(), body, id="d").status_code == 202
    receipt = only()
    assert (receipt.parts, ReceiptPart.objects.count(), kept_request(receipt).body == body) == (4, 4, True)


def test_a_body_over_the_limit_is_refused_before_it_is_read(settings: Any) -> None:
    settings.INBOUND_MAX_BODY_BYTES = 1000
    answer = send(source(), b"x" * 1001)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert send(source(), b"x" * 1000).status_code == 202


class Chunks:
    """A body in chunks, as gunicorn hands it on: without a length."""

    def __init__(self, size: int) -> None:
        self.left, self.given = size, 0
        self.readline = self.read

    def read(self, count: int) -> bytes:
        give = min(self.left, count)
        self.left -= give
        self.given += give
        return b"x" * give


def chunked(to: Any, stream: Any) -> Any:
    extra = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True, "wsgi.input": stream, "CONTENT_LENGTH": ""}
    return Client().generic("POST", url(to), b"", **extra)


def test_a_body_in_chunks_is_refused_while_it_is_read(settings: Any) -> None:
    settings.INBOUND_MAX_BODY_BYTES = 200_000
    stream = Chunks(50_000_000)
    assert chunked(source(), stream).status_code == 413
    assert stream.given < 300_000


def test_a_body_in_chunks_is_verified_to_the_byte() -> None:
    assert chunked(source(), Chunks(70_000)).status_code == 403
    assert only().size == 70_000


def test_a_body_that_breaks_off_is_not_stored() -> None:
    answer = Client().generic("POST", url(source()), b"", **{"wsgi.input": Chunks(3), "CONTENT_LENGTH": "5"})  # type: ignore[arg-type]
    assert answer.status_code == 400
    assert not Receipt.objects.exists()


def test_only_so_many_large_bodies_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = bodies.BodyGate(1)
    monkeypatch.setattr(receive, "gate", gate)
    to = source()
    large = b"x" * (bodies.LARGE + 1)
    held = RequestFactory().post("/", large, content_type="text/plain")
    with gate.taken(held, 10**8):
        answer = send(to, large)
        assert (answer.status_code, answer["Retry-After"], answer.json()["code"]) == (503, "10", "overloaded")
        assert send(to, b"small").status_code == 202
    assert send(to, large).status_code == 202


def test_a_large_body_is_not_held_more_than_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 12_000_000
    monkeypatch.setattr(storing.ReceiptPart.objects, "create", lambda **values: len(values["data"]))
    to = source()
    request = RequestFactory().generic("POST", url(to), b"", CONTENT_LENGTH="", HTTP_TRANSFER_ENCODING="chunked")
    request.META |= {"wsgi.input": Chunks(size), "wsgi.input_terminated": True}
    monkeypatch.setattr(Sender, "verify", classmethod(lambda *args: receive.Verified()))
    receive.receive(request, Sender, to.id)
    request.META["wsgi.input"] = Chunks(size)
    tracemalloc.start()
    receive.receive(request, Sender, to.id)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * size


@pytest.mark.parametrize("error", [OperationalError("gone"), OSError("counters")])
def test_a_database_that_is_away_is_no_server_error(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*args: Any) -> None:
        raise error

    monkeypatch.setattr(receive, "insert", fail)
    answer = send(source())
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "overloaded", "10")


def test_a_fault_of_the_verifier_lets_nothing_in_and_has_it_sent_again() -> None:
    Told.fault = KeyError(f"about {SECRET}")
    answer = send(source())
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert SECRET not in answer.content.decode()
    assert not Receipt.objects.exists()


def test_a_request_takes_one_statement_however_much_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    to = source()
    counts = []
    run, ours = prepared.execute, []  # Django does not see what runs on psycopg's own cursor
    monkeypatch.setattr(prepared, "execute", lambda *given: ours.append(given) or run(*given))
    for number in range(4):
        ours.clear()
        with CaptureQueriesContext(connection) as queries:
            assert send(to, {"n": number}, id=f"d-{number}").status_code == 202
        counts.append(statements(queries) + len(ours))
        assert work_off() == 1
    assert counts == [2, 1, 1, 1]  # the first reads the source


@pytest.mark.parametrize(
    ("change", "status"),
    [({"active": False}, 403), ({"deleted_at": timezone.now()}, 404), ({"allowed_cidrs": ["10.0.0.0/8"]}, 403), ({"secrets": []}, 403)],
)
def test_a_changed_source_counts_at_once_in_every_process(change: dict[str, Any], status: int) -> None:
    to = source()
    assert send(to).status_code == 202
    for name, value in change.items():
        setattr(to, name, value)
    to.save()  # as another process would: nothing here hears of it
    assert send(to).status_code == status
    assert Receipt.objects.filter(verdict="accepted").count() == 1


def test_a_new_secret_and_another_default_count_at_once() -> None:
    to = source(is_default=True)
    path = "/api/v1/webhook/sender"
    assert send(path).status_code == 202
    to.secrets = secrets.initial("another-secret")
    to.save()
    assert [send(path).status_code, send(path, secret="another-secret").status_code] == [403, 202]
    to.is_default = False
    to.save()
    assert send(path, secret="another-secret").status_code == 404
    heir = source(is_default=True)
    assert send(path).status_code == 202
    assert Receipt.objects.filter(source_id=heir.id).count() == 1


def test_a_delivery_that_was_processed_is_counted_and_not_stored_again() -> None:
    to = source()
    first = send(to, {"a": 1}, id="d-1").json()["id"]
    work_off()
    again = send(to, {"a": 1}, id="d-1")
    assert (again.status_code, again.json()["id"]) == (202, first)
    assert (only().duplicates, work_off()) == (1, 0)


def test_ids_of_two_sources_have_nothing_to_do_with_each_other() -> None:
    one, two = source(), source()
    send(one, id="d-1")
    work_off()
    send(two, id="d-1")
    assert Receipt.objects.count() == 2


def test_an_endless_id_is_shortened_to_its_hash() -> None:
    to = source()
    send(to, id="x" * 5000, event="e" * 300)
    assert (len(only().dedupe_id), len(only().event)) == (64, 100)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no such plan")
def test_the_statement_looks_a_delivery_up_however_many_were_settled() -> None:
    to = source()
    with connection.cursor() as cursor:
        cursor.execute(_SETTLED, [to.id, 20_000])
        cursor.execute("ANALYZE webhooks_receipt")
    target = storing.read_target("sender", to.id)
    assert target is not None
    given = storing.NewReceipt(to.id, None, timezone.now(), "", "d-77", "e", 2, "", 0, b"")
    found = plan(storing.statement(), storing.parameters(given, target))
    assert found["Actual Rows"] == 0
    assert rows_read(found, "webhooks_receipt") == 1  # the one that is settled


_SETTLED = """
INSERT INTO webhooks_receipt (id, source_id, state, run_after, attempts, max_attempts, progress, error, received_at, method, remote_address,
    size, body_hash, parts, verdict, reason, dedupe_id, event, result, duplicates, event_ids)
SELECT gen_random_uuid(), %s, 'done', now(), 1, 3, '{}', '', now(), 'POST', '',
    2, '', 0, 'accepted', '', 'd-' || n, 'e', 'processed', 0, '[]'
FROM generate_series(1, %s) AS n
"""
