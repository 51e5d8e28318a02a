"""A check run told by a GitHub App through the real engine: the key is exchanged for a token, which is used, renewed and never shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.db import connection

from core.bus import publish
from integrations.contract.message import FindingLine
from integrations.findings import FindingsQuery
from integrations.models import OAuthGrant, Repository
from tests.connectors.delivering import delivering, routed
from tests.connectors.github.rest_stub import Answer, Call, RestStub, rest_stub
from tests.connectors.github.test_contract import private_key
from tests.connectors.told import example
from tests.factories import RepositoryFactory
from tests.webhooks.receivers import wait_for
from webhooks.choices import ErrorClass
from webhooks.models import DeliveryAttempt, WebhookDelivery

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
EXCHANGE = "/app/installations/34/access_tokens"
CREATE = "POST /repos/{owner}/{repo}/check-runs"
CHANGE = "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}"
FOUND: list[FindingLine] = []


def found(query: FindingsQuery) -> Sequence[FindingLine]:
    """Stand for scans."""
    return FOUND[: query.limit]


def findings(count: int) -> None:
    FOUND[:] = [FindingLine(f"eval {n}", "high", path=f"src/{n}.py", line=n + 1, finding_id=str(n), rule=f"R{n}") for n in range(count)]


@dataclass
class AppStub:
    """GitHub, where an app signs in: only the last token is good, and what it refuses it repeats.

    Tokens look as they do on older servers, so that nothing knows them by their form.
    """

    github: RestStub
    proofs: list[str] = field(default_factory=list)
    refuse: bool = False
    before: Callable[[Call], Answer | None] = lambda call: None
    used: list[tuple[str, str, int]] = field(default_factory=list)
    """Method, token and number of marks of each call that was taken."""

    def __post_init__(self) -> None:
        self._answer, self.github.answer = self.github.answer, self.answer  # type: ignore[method-assign]

    @property
    def token(self) -> str:
        return f"v1.planted77c9d2{len(self.proofs)}"

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        shown = headers["Authorization"].removeprefix("Bearer ")
        if target == EXCHANGE:
            self.proofs.append(shown)
            if self.refuse or not signed(shown):
                return 401, {"message": f"A JSON web token could not be decoded: {shown}"}, {}
            ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
            return 201, {"token": self.token, "expires_at": ends, "permissions": {"checks": "write"}}, {}
        if shown != self.token:
            return 401, {"message": f"Bad credentials {shown}"}, {}
        if (said := self.before(Call(f"{method} {target}", {}, {}, json.loads(body)))) is not None:
            return said
        self.used.append((method, shown, len(json.loads(body)["output"].get("annotations", ()))))
        return self._answer(method, target, headers, body)


def signed(proof: str) -> bool:
    """Say whether a proof is this app's; raises InvalidSignature."""
    head, claims, signature = proof.split(".")
    key = load_pem_private_key(private_key().encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    raw = base64.urlsafe_b64decode(signature + "==")
    key.public_key().verify(raw, f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    return bool(json.loads(base64.urlsafe_b64decode(claims + "=="))["iss"] == "12")


@pytest.fixture
def app(settings: Any) -> Iterator[AppStub]:
    settings.FINDINGS_SOURCE = "tests.connectors.github.test_app_engine.found"
    settings.DESTINATION_THREADS = 2
    RepositoryFactory.create(full_name="acme/shop")
    with rest_stub() as stub, delivering(settings):
        config = {"api_url": stub.url, "auth": "app", "app_id": "12", "installation_id": "34", "products": []}
        routed("github", config, {"private_key": private_key()}, ["gate.failed"], action="check_run")
        yield AppStub(stub)


def told() -> DeliveryAttempt:
    """Publish that a gate failed, and return the attempt that ended its delivery."""
    event = publish("gate.failed", dict(example("gate.failed").data), repository_id=Repository.objects.get().id)
    wait_for(lambda: not WebhookDelivery.objects.filter(event=event, status="pending").exists())
    return DeliveryAttempt.objects.filter(delivery__event=event).latest("number")


def everything_stored() -> str:
    """Return what stands in every row of every table, as it is stored."""
    with connection.cursor() as cursor:
        shown = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            shown.append(str(cursor.fetchall()))
    return "".join(shown)


def assert_nothing_planted_is_stored(app: AppStub) -> None:
    stored = everything_stored()
    assert "gate.failed" in stored
    assert "planted77c9d2" not in stored
    for secret in (*private_key().split("\n")[1:-2], *(part for proof in app.proofs for part in proof.split(".")[1:])):
        assert secret not in stored


def run_out(app: AppStub) -> None:
    """The time of the token is over by the portal's clock."""
    OAuthGrant.objects.update(expires_at=datetime.now(UTC))


def taken_back(app: AppStub) -> None:
    """GitHub no longer knows the token, which by the portal's clock is good."""
    OAuthGrant.objects.update(updated_at=datetime.now(UTC) - timedelta(minutes=50))
    app.proofs.append("issued to somebody else")


@pytest.mark.parametrize("end", [run_out, taken_back])
def test_the_token_is_fetched_once_used_by_all_and_renewed_in_the_middle_of_a_delivery(
    app: AppStub, end: Callable[[AppStub], None]
) -> None:
    findings(60)
    attempt = told()
    assert (attempt.error, attempt.outcome, json.loads(attempt.response_body)["annotations"]) == ("", "success", 60)
    findings(170)

    def ends_before_the_second(call: Call) -> None:
        if len(app.used) == 3:
            app.before = lambda call: None
            end(app)
            connection.close()

    app.before = ends_before_the_second
    attempt = told()
    assert (attempt.error, attempt.outcome, json.loads(attempt.response_body)["annotations"]) == ("", "success", 170)
    first, second = "v1.planted77c9d21", app.token
    assert app.used == [
        ("POST", first, 50), ("PATCH", first, 10), ("PATCH", first, 50), ("PATCH", first, 50), ("PATCH", second, 10),
    ]  # fmt: skip
    assert len([proof for proof in app.proofs if "." in proof]) == 2
    assert app.github.refused == []
    marks = [one["path"] for body in (*app.github.made(CREATE), *app.github.made(CHANGE)) for one in body["output"].get("annotations", ())]
    assert marks == [f"src/{n}.py" for n in range(170)]
    assert_nothing_planted_is_stored(app)


def test_a_refused_exchange_is_told_in_words_asked_for_once_and_shows_no_secret(app: AppStub) -> None:
    app.refuse = True
    attempts = [told(), told()]
    for attempt in attempts:
        assert (attempt.outcome, attempt.error_class, attempt.number) == ("failed", ErrorClass.SIGN_IN, 1)
        assert "127.0.0.1 refused the sign-in (401). Check the app id, the installation id and the private key" in attempt.error
    assert (len(app.proofs), app.used) == (1, [])
    assert_nothing_planted_is_stored(app)


def test_an_answer_that_repeats_the_token_does_not_bring_it_into_the_log(app: AppStub) -> None:
    app.before = lambda call: (422, {"message": f"No commit found for SHA, asked with {app.token}"}, {"X-Said": app.token})
    attempt = told()
    assert (attempt.outcome, attempt.status_code, "No commit found" in attempt.error) == ("failed", 422, True)
    assert_nothing_planted_is_stored(app)
