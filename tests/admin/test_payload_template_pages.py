"""The editor of payload templates: what it shows while one writes, what it stores, and versions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from core import bus
from templates_app.models import PayloadTemplate, TemplateVersion
from tests.admin.conftest import make_delivery, make_webhook
from tests.factories import owner_of
from tests.templates_app.payload_kit import BODY, payload_template
from webhooks.models import DeliveryAttempt, Webhook

pytestmark = pytest.mark.once

FORM = {"name": "Chat", "content_type": "application/json", "events": "finding.*, custom.*", "owner": "user:alice", "body": BODY}


@pytest.fixture
def integrator(alice: User, log_in: Callable[[User], Client]) -> Client:
    return log_in(alice)


def _url(page: str, *args: object) -> str:
    return reverse(f"admin:templates_app_payloadtemplate_{page}", args=args)


def test_it_is_written_with_a_preview_and_saved_as_versions(integrator: Client, alice: User) -> None:
    page = integrator.get(_url("add")).content.decode()
    for part in ("hx-post", "data-numbered", "/repoguard/lines."):
        assert part in page, part
    assert integrator.post(_url("add"), FORM).status_code == 302
    template = PayloadTemplate.objects.get()
    assert (template.owner_id, template.active.body, template.events) == (owner_of(alice).id, BODY, ["finding.*", "custom.*"])
    page = _url("change", template.pk)
    assert '<option value="finding.opened" selected>' in integrator.get(page).content.decode()
    PayloadTemplate.objects.update(events=["scan.*"])
    assert '<option value="scan.completed" selected>' in integrator.get(page).content.decode(), "what it is meant for"
    PayloadTemplate.objects.update(events=["custom.*"])
    assert '<option value="custom.*" selected>' in integrator.get(page).content.decode(), "a family, whose example has a name of its own"
    integrator.post(page, FORM)  # the same once more
    integrator.post(page, FORM | {"body": '{\r\n"t": 1}', "note": "shorter", "headers": "X-A: {{ data.title }}", "url_query": "k=v"})
    second = TemplateVersion.objects.get(number=2)
    assert (second.body, second.created_by) == ('{\n"t": 1}', "user alice")
    assert (second.headers, second.url_query) == ({"X-A": "{{ data.title }}"}, {"k": "v"})
    assert 'class="rg-diff rg-good">+{' in integrator.get(_url("diff", template.pk, 2)).content.decode()
    integrator.post(_url("do", template.pk, "rollback"), {"version": "1"})
    template.refresh_from_db()
    assert template.active.number == 1


def test_what_is_wrong_stands_beside_its_field(integrator: Client) -> None:
    wrong = FORM | {"body": "{{ message.titel }}", "headers": "X-A: {{ data.x | foo }}"}
    text = integrator.post(_url("add"), wrong).content.decode()
    assert "There is no filter foo" in text
    near = integrator.post(_url("add"), FORM | {"body": "{{ data.x | truncat }}"}).content.decode()
    assert "There is no filter truncat; is truncate meant?" in near
    nested = "{% for x in data.y %}{% endfor %}\n {% for x in data.y %}\n{% if x %}{% endif %}"
    open_tag = integrator.post(_url("add"), FORM | {"body": nested, "preview_event": "custom.*"}).content.decode()
    assert "Line 2, column 2: It ends before {% endfor %}: this tag is not closed." in open_tag
    assert '<option value="custom.*" selected>' in open_tag, "the preview goes on with the chosen event"
    text = integrator.post(_url("add"), FORM | {"body": "{{ message.titel }}"}).content.decode()
    assert "message.titel is unknown" in text
    assert not PayloadTemplate.objects.exists()


def test_the_preview_is_of_the_chosen_event_and_of_nobody_elses(integrator: Client, alice: User, charlie: User) -> None:
    mine = bus.publish("custom.a", {"severity": "<b>"}, owner_id=owner_of(alice).id)
    theirs = bus.publish("custom.a", {"severity": "theirs"}, owner_id=owner_of(charlie).id)
    told = integrator.post(_url("preview"), FORM | {"preview_event": str(mine.id), "url_path": "/x"}).content.decode()
    assert "&lt;b&gt;" in told
    assert "/x" in told
    assert "theirs" not in integrator.post(_url("preview"), FORM | {"preview_event": str(theirs.id)}).content.decode()
    assert "no JSON" in integrator.post(_url("preview"), FORM | {"body": "{"}).content.decode()
    assert "no colon" in integrator.post(_url("preview"), FORM | {"headers": "x"}).content.decode()
    assert "content_type: must be one of" in integrator.post(_url("preview"), FORM | {"content_type": "x"}).content.decode()


@pytest.mark.once
def test_the_preview_shows_where_the_error_is(integrator: Client) -> None:
    def told(**changes: str) -> str:
        return integrator.post(_url("preview"), FORM | changes).content.decode()

    output = told(body='{"a": "<b>"\n "b": 2}')
    assert '<span data-n="1">{&quot;a&quot;: &quot;&lt;b&gt;&quot;</span>' in output
    assert '<mark data-n="2"> <b class="rg-fault">&quot;</b>b&quot;: 2}</mark>' in output
    assert 'data-goto="id_body" data-line="2" data-column="14"' in told(body='"\n {{ data.x | nope }}"')
    header = told(headers="X-A: {{ data.nonsense }}", events="finding.opened")
    assert "headers.X-A: Line 1, column 4: data.nonsense is in none" in header
    assert "data-goto" not in header


def test_the_page_of_a_webhooks_message_shows_what_its_template_made_of_a_recorded_event(browser: Client) -> None:
    webhook = make_webhook(payload_template=payload_template('{"a": {{ data.n }}{% if data.bad %}oops{% endif %}}', events=["custom.*"]))
    page = reverse("admin:webhooks_webhook_message", args=[webhook.pk])
    text = browser.get(page, {"event": str(bus.publish("custom.a", {"n": 1, "bad": True}).id)}).content.decode()
    assert '<mark data-n="1">{&quot;a&quot;: 1<b class="rg-fault">o</b>ops}</mark>' in text
    assert "What it makes of custom.a, 12 bytes in all" in text
    assert "/repoguard/lines." in text
    assert "rg-fault" not in browser.get(page, {"event": str(bus.publish("custom.a", {"n": 1}).id)}).content.decode()
    delivery = make_delivery(webhook)
    DeliveryAttempt.objects.update(template_version=webhook.payload_template.active_id)  # type: ignore[union-attr]
    text = browser.get(reverse("admin:webhooks_webhookdelivery_change", args=[delivery.pk])).content.decode()
    assert "Body that is sent" not in text, "the template makes another"
    assert f'href="{page}?event={delivery.event_id}"' in text
    assert "<dd>Chat, version 1</dd>" in text, "which version made the attempt's body"


def test_an_auditor_reads_and_previews_nothing(auditor: User, alice: User, log_in: Callable[[User], Client]) -> None:
    template, client = payload_template(owner_id=owner_of(alice).id), log_in(auditor)
    text = client.get(_url("change", template.pk)).content.decode()
    assert "Make active" not in text
    assert "hx-post" not in text
    assert client.post(_url("preview"), FORM).status_code == 403


def test_a_webhook_gets_one_by_its_form_and_keeps_it_from_being_deleted(integrator: Client, alice: User, charlie: User) -> None:
    template = payload_template(owner_id=owner_of(alice).id)
    theirs = payload_template(owner_id=owner_of(charlie).id, name="theirs")
    page = reverse("admin:webhooks_webhook_add")
    assert "theirs" not in integrator.get(page).content.decode()
    form = {
        "name": "Bot", "url": "https://ci.example.com/", "owner": "user:alice", "events": "finding.*", "retries": "default",
        "concurrency": 5, "priority": 1, "payload_template": str(template.pk),
    }  # fmt: skip
    assert integrator.post(page, form | {"payload_template": str(theirs.pk)}).status_code == 200
    integrator.post(page, form)
    assert Webhook.objects.get().payload_template == template
    assert "Bot" in integrator.post(_url("delete", template.pk), {"post": "yes"}, follow=True).content.decode()
    assert PayloadTemplate.objects.filter(pk=template.pk).exists()
