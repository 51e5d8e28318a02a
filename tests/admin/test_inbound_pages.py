"""Inbound sources and what they received, in the admin."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from core.models import Event
from integrations.models import Integration
from tests.factories import owner_of
from tests.webhooks.inbound_kit import SECRET, send, source, work_off
from tests.webhooks.inbound_kit import sender as sender
from webhooks import secrets
from webhooks.inbound import samples
from webhooks.models import InboundSource, Receipt

pytestmark = [pytest.mark.django_db, pytest.mark.once]
SOURCES, RECEIPTS = "/admin/webhooks/inboundsource/", "/admin/webhooks/receipt/"
EVIL = "<script>alert(1)</script>"
LogIn = Callable[[User], Client]


def form(**more: Any) -> dict[str, Any]:
    return {"name": "main", "secret": "", "c_header": "", "allowed_cidrs": "", "active": "on", "owner": ""} | more


ADD = f"{SOURCES}add/?type=sender"


def test_a_source_is_made_and_its_secret_shown_once(browser: Client) -> None:
    page = browser.post(ADD, form(allowed_cidrs="127.0.0.0/8\n10.0.0.0/8"))
    made = InboundSource.objects.get()
    secret = made.secrets[0]["secret"]
    assert secret in page.content.decode()
    assert f"/api/v1/webhook/sender/{made.pk}</code>" in page.content.decode()
    assert (made.allowed_cidrs, made.config) == (["10.0.0.0/8", "127.0.0.0/8"], {"header": "x-sender-signature"})
    again = browser.get(f"{SOURCES}{made.pk}/change/").content.decode()
    assert secret not in again
    assert f"/api/v1/webhook/sender/{made.pk}" in again


def test_a_secret_that_the_platform_made_is_not_shown_back(browser: Client) -> None:
    given = "planted-given-secret-4f1c7a90"
    page = browser.post(f"{SOURCES}add/?type=slack", form(secret=given), follow=True).content.decode()
    assert "is ready. Enter its address at the platform." in page
    assert f"/api/v1/webhook/slack/{InboundSource.objects.get().pk}" in page
    assert given not in page


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"c_header": "x" * 41}, "at most 40"),
        ({"allowed_cidrs": "nowhere"}, "is not a network"),
        ({"secret": " a "}, "white space"),
    ],
)
def test_wrong_values_are_shown_beside_their_field(browser: Client, wrong: dict[str, Any], sentence: str) -> None:
    page = browser.post(ADD, form(**wrong)).content.decode()
    assert sentence.lower() in page.lower()
    assert not InboundSource.objects.exists()


def test_the_provider_is_chosen_first_and_its_form_speaks_of_it_alone(browser: Client) -> None:
    chosen = browser.get(f"{SOURCES}add/").content.decode()
    assert 'href="?type=gitlab"' in chosen
    assert "Deaf" not in chosen
    page = browser.get(f"{SOURCES}add/?type=gitlab").content.decode()
    assert "Signing token" in page
    assert "At GitLab: Settings" in page
    assert "Jenkins" not in page
    assert "Header of the signature" not in page
    assert "next switch" not in page
    hub = browser.get(f"{SOURCES}add/?type=github").content.decode()
    assert "unless the next switch is on" in hub
    assert hub.index('name="secret"') < hub.rindex("Missed deliveries") < hub.index('name="integration"') < hub.index('name="c_hook_of"')
    generic = browser.get(f"{SOURCES}add/?type=generic").content.decode()
    assert 'data-only-if="c_mode" data-only-if-values="token"' in generic
    browser.post(f"{SOURCES}add/?type=generic", form(c_mode="token", c_token_header="X-Token", c_signature_header="X-Signature"))
    made = InboundSource.objects.get()
    assert (made.provider, made.config["token_header"]) == ("generic", "X-Token")
    assert "signature_header" not in made.config


@pytest.mark.parametrize(
    ("provider", "options", "secret", "sentence"),
    [
        ("stripe", {}, "", "must be given: Stripe makes it"),
        ("stripe", {}, "sk_live_planted-0123456789", "is an API key"),
        ("gitlab", {"c_mode": "signing"}, "planted-not-a-key-123", "must begin with whsec_"),
        ("standard_webhooks", {}, "whsec_planted-not-base64", "must be base64 after whsec_"),
    ],
)
def test_a_secret_of_another_form_is_refused_beside_its_field(
    browser: Client, provider: str, options: dict[str, str], secret: str, sentence: str
) -> None:
    page = browser.post(f"{SOURCES}add/?type={provider}", form(secret=secret, **options)).content.decode()
    assert sentence.lower() in page.lower()
    assert not secret or secret not in page
    assert not InboundSource.objects.exists()


def test_a_secret_may_be_replaced_and_must_fit_the_options(browser: Client) -> None:
    to = source(provider="gitlab", config={"mode": "token"})
    page = browser.post(f"{SOURCES}{to.pk}/change/", form(c_mode="signing")).content.decode()
    assert "does not fit these options" in page
    signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    browser.post(f"{SOURCES}{to.pk}/change/", form(c_mode="signing", secret=signing))
    to.refresh_from_db()
    assert (to.config, [entry["secret"] for entry in to.secrets]) == ({"mode": "signing"}, [signing, SECRET])
    assert signing not in browser.get(f"{SOURCES}{to.pk}/change/").content.decode()


def test_a_source_is_changed_and_keeps_its_secret(browser: Client) -> None:
    to = source()
    answer = browser.post(f"{SOURCES}{to.pk}/change/", form(name="new", is_default="on"))
    assert answer.status_code == 302
    to.refresh_from_db()
    assert (to.name, to.is_default, to.secrets[0]["secret"]) == ("new", True, SECRET)


def test_the_buttons_rotate_disable_and_enable(browser: Client) -> None:
    to = source()
    page = browser.post(f"{SOURCES}{to.pk}/do/rotate-secret/", {"overlap_hours": "1"}).content.decode()
    to.refresh_from_db()
    assert to.secrets[0]["secret"] in page
    assert send(to).status_code == 202
    browser.post(f"{SOURCES}{to.pk}/do/disable/")
    assert send(to).status_code == 403
    browser.post(f"{SOURCES}{to.pk}/do/enable/")
    assert send(to).status_code == 202


def test_requests_are_listed_shown_and_interpreted_again(browser: Client) -> None:
    to = source(name=EVIL)
    send(to, {"title": EVIL}, event="push")
    send(to, b"no json", event=EVIL)
    send(to, secret="wrong")
    work_off()
    listed = browser.get(RECEIPTS, {"source": str(to.pk)}).content.decode()
    assert EVIL not in listed
    assert all(word in listed for word in ("processed", "failed", "refused", "The body is not JSON."))
    assert "refused" not in browser.get(RECEIPTS, {"outcome": "failed"}).content.decode().partition("<tbody")[2]
    failed = Receipt.objects.get(outcome="failed")
    shown = browser.get(f"{RECEIPTS}{failed.pk}/change/").content.decode()
    assert "Reprocess" in shown
    assert EVIL not in shown
    browser.post(f"{RECEIPTS}{failed.pk}/do/reprocess/")
    failed.refresh_from_db()
    assert failed.outcome == "waiting"
    refused = Receipt.objects.get(verdict="refused")
    assert "Reprocess" not in browser.get(f"{RECEIPTS}{refused.pk}/change/").content.decode()


def test_the_page_of_a_request_follows_it_until_it_is_interpreted(browser: Client) -> None:
    to = source()
    send(to, {"title": "x"}, event="push")
    receipt = Receipt.objects.get()
    live = f"{RECEIPTS}{receipt.pk}/live/"
    assert f'hx-get="{live}"' in browser.get(f"{RECEIPTS}{receipt.pk}/change/").content.decode()
    assert f'hx-get="{live}"' in browser.get(live).content.decode()
    work_off()
    event, shown = Event.objects.get(), browser.get(live).content.decode()
    assert "hx-get" not in shown
    assert event.type in shown
    assert f'href="/admin/core/event/{event.pk}/change/"' in shown
    event.delete()
    assert "kept no longer" in browser.get(live).content.decode()
    assert browser.get(f"{RECEIPTS}{uuid.uuid4()}/live/").status_code == 404


def test_a_body_with_half_a_surrogate_pair_is_shown(browser: Client) -> None:
    send(source(), b'{"a":"\\ud800<script>"}')
    shown = browser.get(f"/admin/webhooks/receipt/{Receipt.objects.get().pk}/change/")
    assert shown.status_code == 200
    assert "?&lt;script&gt;" in shown.content.decode()


def test_strangers_see_nothing_and_auditors_change_nothing(
    browser: Client, alice: User, charlie: User, auditor: User, log_in: LogIn
) -> None:
    to = source(owner=owner_of(alice), name="alices-source")
    send(to)
    receipt = Receipt.objects.get()
    assert "alices-source" in log_in(alice).get(RECEIPTS).content.decode()
    for path in (SOURCES, RECEIPTS):
        assert "alices-source" not in log_in(charlie).get(path).content.decode()
        assert "alices-source" in log_in(auditor).get(path).content.decode()
    assert log_in(charlie).get(f"{RECEIPTS}{receipt.pk}/live/").status_code == 404
    assert log_in(charlie).post(f"{SOURCES}{to.pk}/do/disable/").status_code in (302, 403)
    assert log_in(auditor).post(f"{SOURCES}{to.pk}/do/disable/").status_code == 403
    assert log_in(auditor).post(f"{RECEIPTS}{receipt.pk}/do/reprocess/").status_code == 403
    assert log_in(auditor).get(f"{SOURCES}{to.pk}/change/").status_code == 200
    to.refresh_from_db()
    assert to.active


def github(**more: Any) -> InboundSource:
    return source(**{"provider": "github", "secrets": secrets.initial("planted-sample-9e41b07d")} | more)


def test_the_button_leads_to_the_receipt(browser: Client) -> None:
    to = github()
    page = browser.get(f"{SOURCES}{to.pk}/change/").content.decode()
    assert "pull_request: a pull request is opened" in page
    answer = browser.post(f"{SOURCES}{to.pk}/do/send-sample/", {"event": "push"})
    receipt = Receipt.objects.get()
    assert answer["Location"] == f"/admin/webhooks/receipt/{receipt.pk}/change/"
    assert "was accepted and stored" in browser.get(answer["Location"]).content.decode()
    work_off()
    assert Event.objects.get(type="repository.pushed").payload["repository"]["full_name"] == "acme/shop"


def test_a_refused_sample_is_shown_as_such(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    to = github()
    wrong = samples.Sending(samples.simulated(to.provider), {}, "another-secret-9e41")
    monkeypatch.setattr("webhooks.inbound.samples.sending_to", lambda source: wrong)
    page = browser.post(f"{SOURCES}{to.pk}/do/send-sample/", {"event": "push"}, follow=True).content.decode()
    assert "The sample push was refused" in page
    unknown = browser.post(f"{SOURCES}{to.pk}/do/send-sample/", {"event": str(uuid.uuid4())}, follow=True)
    assert unknown.status_code == 200
    assert Receipt.objects.count() == 1


def test_who_may_not_change_the_source_has_no_button(alice: User, auditor: User, charlie: User, log_in: LogIn) -> None:
    to = github(owner=owner_of(alice))
    assert "Send sample" in log_in(alice).get(f"{SOURCES}{to.pk}/change/").content.decode()
    assert "Send sample" not in log_in(auditor).get(f"{SOURCES}{to.pk}/change/").content.decode()
    for person in (auditor, charlie):
        assert log_in(person).post(f"{SOURCES}{to.pk}/do/send-sample/", {"event": "push"}).status_code in (302, 403)
    off = github(owner=owner_of(alice), active=False)
    assert "Send sample" not in log_in(alice).get(f"{SOURCES}{off.pk}/change/").content.decode()
    assert not Receipt.objects.exists()


def test_missed_deliveries_are_set_up_and_requested_on_the_sources_page(browser: Client) -> None:
    connected = Integration.objects.create(name="Acme's GitHub", type="github", category="development", config={"auth": "none"})
    to = source(provider="github")
    page = f"{SOURCES}{to.pk}/change/"
    assert "Request missed deliveries" not in browser.get(page).content.decode()
    given = form(name="hooked", c_hook_of="acme/shop", c_hook_id="9", integration=str(connected.pk), provider_addresses="on")
    assert browser.post(page, given).status_code == 302
    to.refresh_from_db()
    assert (to.integration, to.provider_addresses, to.config) == (connected, True, {"hook_of": "acme/shop", "hook_id": 9})
    assert "Request missed deliveries" in browser.get(page).content.decode()
    followed = browser.post(f"{SOURCES}{to.pk}/do/backfill/", follow=True).content.decode()
    assert "compared with what arrived here" in followed
    assert "Request missed deliveries" not in browser.get(page).content.decode()  # one goes on
