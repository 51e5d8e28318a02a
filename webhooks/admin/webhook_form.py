"""The form of a webhook: everything in words, checked by the service."""

from __future__ import annotations

import json
import uuid
from typing import Any, cast

from django import forms
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from access.admin_base.owners import OwnerField
from access.admin_base.show import pretty
from access.admin_base.widgets import GroupedChecks
from access.selectors import visible
from core.errors import InvalidInput
from core.fields import DecryptError
from integrations.contract.schema import beside_field
from integrations.models import Repository
from templates_app.models import PayloadTemplate
from webhooks.admin import routing_form
from webhooks.admin.event_choices import event_choices
from webhooks.admin.payload_form import template_choices
from webhooks.admin.route_fields import RouteFields
from webhooks.admin.routing_form import RoutingForm
from webhooks.admin.words import headers_text, parse_headers, parse_schedule, schedule_text
from webhooks.choices import Lane
from webhooks.destinations.templates import pick_template
from webhooks.filters import OPERATORS, check_filter
from webhooks.models import Webhook
from webhooks.models.webhook import DEFAULT_CONCURRENCY
from webhooks.retry import DEFAULT_SCHEDULE, schedule_of
from webhooks.services import WebhookValues
from webhooks.services.values import checked

DEFAULT, NONE, OWN = "default", "none", "own"
REPOSITORIES_OFFERED = 1000
UNREADABLE = "The stored headers can't be decrypted with the present FERNET_KEYS; add the key they were stored with."
_CHECKED = ("name", "headers", "rate_limit", "concurrency", "priority", "repositories")


class WebhookForm(RoutingForm):
    """Where events go, which, and how fast."""

    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget, help_text="What receives it, such as “Jenkins deploy”.")
    integration = forms.ChoiceField(
        required=False,
        label="Sends to",
        widget=UnfoldAdminSelectWidget,
        help_text="A URL, or an integration that takes events: then its address and credentials are used.",
    )
    url = forms.CharField(
        max_length=2000,
        required=False,
        label="URL",
        widget=UnfoldAdminTextInputWidget(
            attrs={
                "placeholder": "https://ci.example.com/hooks/repoguard",
                "inputmode": "url",
                "data-only-if": "integration",
                "data-only-if-values": "",
            }
        ),
        help_text="Each event is sent there as a signed POST. Inner addresses and http:// need EGRESS_ALLOW_CIDRS.",
    )
    payload_template = forms.ChoiceField(
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="What is sent in place of the portal's own JSON, or of the message that an integration makes.",
    )
    owner = OwnerField(help_text="It receives its owner's events only; a webhook of the admins receives everybody's.")
    events = forms.MultipleChoiceField(required=False, widget=GroupedChecks, help_text="At least one, here or below.")
    more_events = forms.CharField(
        required=False,
        label="Further event types",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "custom.deployed, inbound.github.*"}),
        help_text="Names or families that are not in the list, separated by commas.",
    )
    repositories = forms.ModelMultipleChoiceField(
        Repository.objects.none(),
        required=False,
        widget=UnfoldAdminSelectMultipleWidget,
        help_text="Only events of these. None chosen: of all. Hold Ctrl to choose several.",
    )
    filter = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 5, "placeholder": '{"ref": "refs/heads/main"}', "spellcheck": "false"}),
        help_text=f"JSON conditions on the event's data; all must hold. Operators: {', '.join(OPERATORS)}, $and, $or. Empty: every event.",
    )
    headers = forms.CharField(
        required=False,
        label="Extra headers",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "Authorization: Bearer …", "spellcheck": "false"}),
        help_text="One per line, Name: value. Stored encrypted, never shown again: ******** keeps a value, no line removes it.",
    )
    retries = forms.ChoiceField(
        choices=[(DEFAULT, "The usual schedule"), (NONE, "No retries: one attempt only"), (OWN, "My own schedule (below)")],
        initial=DEFAULT,
        widget=UnfoldAdminSelectWidget,
        help_text=f"The usual one: at once, then after {schedule_text(DEFAULT_SCHEDULE)}.",
    )
    schedule = forms.CharField(
        required=False,
        label="My own schedule",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "5 s, 5 min, 30 min, 2 h"}),
        help_text="Delays before the second and later attempts, with s, min, h or d. Each is spread by 10 % either way.",
    )
    rate_limit = forms.FloatField(
        required=False,
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any", "min": 0}),
        help_text="Deliveries a second at most. Empty: no limit.",
    )
    concurrency = forms.IntegerField(
        initial=DEFAULT_CONCURRENCY,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Requests open at once at most; a slow endpoint waits alone.",
    )
    priority = forms.TypedChoiceField(
        choices=Lane.choices,
        coerce=int,
        initial=Lane.NORMAL,
        widget=UnfoldAdminSelectWidget,
        help_text="High leaves before normal, normal before low.",
    )

    class Meta:
        model = Webhook
        fields: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        webhook = None if self.instance._state.adding else self.instance
        owner = str(webhook.owner) if webhook is not None and webhook.owner_id else None
        if isinstance(field := self.fields.get("owner"), OwnerField):
            field.offer(self.who, owner)
            if webhook is not None:
                field.disabled, field.help_text = True, "It stays; create a webhook for the other owner."
        if "events" in self.fields:
            self.fields["events"].choices = event_choices()  # type: ignore[attr-defined]
        self.route = RouteFields(self.who, webhook)
        if isinstance(choice := self.fields.get("integration"), forms.ChoiceField):
            choice.choices = self.route.choices()
            self.fields.update({name: field for name, field in self.route.fields().items() if name in self.shown_fields})
        if isinstance(choice := self.fields.get("payload_template"), forms.ChoiceField):
            choice.choices = template_choices(self.who, webhook)
        if "repositories" in self.fields:
            offered = visible(Repository.objects.order_by("full_name"), self.who)
            self.fields["repositories"].queryset = offered  # type: ignore[attr-defined]
            rows = {row.pk: str(row) for row in offered[:REPOSITORIES_OFFERED]}
            if webhook is not None:  # those it has are offered too, however many others there are: saving must not drop them
                rows |= {row.pk: str(row) for row in offered.filter(webhook=webhook)}
            self.fields["repositories"].choices = list(rows.items())  # type: ignore[attr-defined]
        if webhook is not None:
            self.initial = {**self._present(webhook), "owner": owner or "", **self.initial}

    def _present(self, webhook: Webhook) -> dict[str, Any]:
        listed = {value for _, entries in event_choices() for value, _ in entries}
        try:
            stored: Any = webhook.headers
            headers = headers_text(list(stored or {}))
        except DecryptError:
            headers = ""
            if "headers" in self.fields:
                self.fields["headers"].help_text = UNREADABLE
        return {
            **{name: getattr(webhook, name) for name in ("name", "url", "rate_limit", "concurrency", "priority")},
            "integration": self.route.stored_id,
            "payload_template": str(webhook.payload_template_id or ""),
            "events": [name for name in webhook.events if name in listed],
            "more_events": ", ".join(name for name in webhook.events if name not in listed),
            "repositories": [row.repository_id for row in webhook.webhookrepository_set.all()],
            "filter": pretty(webhook.filter) if webhook.filter else "",
            "headers": headers,
            **routing_form.present(webhook.routing),
            **_retries_of(webhook.retry_config),
        }

    def clean_filter(self) -> dict[str, Any] | None:
        """Return the conditions."""
        text = self.cleaned_data["filter"].strip()
        if not text:
            return None
        try:
            return check_filter(_parse_json(text))
        except InvalidInput as error:
            raise forms.ValidationError(error.fields.get("filter", [error.message])) from error

    def clean_payload_template(self) -> PayloadTemplate | None:
        """Return the template."""
        text = self.cleaned_data["payload_template"]
        stored_id = None if self.instance._state.adding else self.instance.payload_template_id
        return pick_template(uuid.UUID(text) if text else None, self.who, stored_id)

    def clean_headers(self) -> Any:
        """Return the headers."""
        return parse_headers(self.cleaned_data["headers"])

    def clean_schedule(self) -> list[float]:
        """Return the delays."""
        return parse_schedule(self.cleaned_data["schedule"])

    def clean(self) -> dict[str, Any] | None:
        """Check what several fields say together."""
        cleaned = super().clean()
        if not self.cleaned_data.get("events") and not (self.cleaned_data.get("more_events") or "").strip():
            self.add_error("events", "Choose at least one event type.")
        if self.cleaned_data.get("retries") == OWN and "schedule" in self.cleaned_data and not self.cleaned_data["schedule"]:
            self.add_error("schedule", "Write the delays, such as: 5 s, 5 min, 2 h; or choose another way above.")
        if self.refusal is None:
            self._check_all()
        return cleaned

    def _check_all(self) -> None:
        """Ask the service's rules about every field that could be read, so that all errors are shown at once."""
        values: dict[str, Any] = {name: self.cleaned_data[name] for name in _CHECKED if name in self.cleaned_data}
        if "url" in self.cleaned_data and "integration" in self.cleaned_data:
            values |= self.route.values(self.cleaned_data)
        if "payload_template" in self.cleaned_data:
            values["payload_template"] = self.cleaned_data["payload_template"]
        if "owner" in self.cleaned_data:
            values["owner_id"] = self.cleaned_data["owner"]
        if "headers" not in self.changed_data:
            values.pop("headers", None)
        if "events" in self.cleaned_data and "more_events" in self.cleaned_data and self._events():
            values["events"] = self._events()
        if self.has_routing():
            values["routing"] = self.routing()
        if "retries" in self.cleaned_data and "schedule" in self.cleaned_data and "schedule" not in self.errors:
            values["retry_config"] = self._retry_config()
        try:
            checked(cast("WebhookValues", values), None if self.instance._state.adding else self.instance)
        except InvalidInput as error:
            for name, sentences in error.fields.items():
                field = self._field_of(name)
                for sentence in sentences:
                    self.add_error(field if field in self.fields else None, beside_field(sentence))
        except DecryptError:
            self.add_error("headers", UNREADABLE)

    def _field_of(self, name: str) -> str:
        if name == "retry_config":
            return "schedule"
        return routing_form.form_name(name) if name.startswith("routing") else self.route.field_of(name, self.cleaned_data)

    def _events(self) -> list[str]:
        more = [name.strip() for name in self.cleaned_data["more_events"].replace("\n", ",").split(",") if name.strip()]
        return [*self.cleaned_data["events"], *more]

    def values(self) -> WebhookValues:
        """Return what the service takes."""
        data = self.cleaned_data
        values = WebhookValues(
            name=data["name"],
            events=self._events(),
            filter=data["filter"],
            routing=self.routing(),
            retry_config=self._retry_config(),
            rate_limit=data["rate_limit"],
            concurrency=data["concurrency"],
            priority=data["priority"],
            repositories=list(data["repositories"]),
            payload_template=data["payload_template"],
            owner_id=data["owner"],
        )
        values.update(cast("WebhookValues", self.route.values(data)))
        if "headers" in self.changed_data or self.instance._state.adding:
            values["headers"] = data["headers"]
        return values

    def _retry_config(self) -> dict[str, Any] | None:
        if self.cleaned_data["retries"] == DEFAULT:
            return None
        return {"schedule": [] if self.cleaned_data["retries"] == NONE else self.cleaned_data["schedule"]}


def _retries_of(config: dict[str, Any] | None) -> dict[str, Any]:
    if not config:
        return {"retries": DEFAULT}
    schedule = schedule_of(config)
    return {"retries": OWN if schedule else NONE, "schedule": schedule_text(schedule)}


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise forms.ValidationError(f"Not JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from error
    except RecursionError as error:
        raise forms.ValidationError("Nested too deeply.") from error
    except ValueError as error:  # more digits than Python turns into a number
        raise forms.ValidationError("Holds a number that is too long.") from error
