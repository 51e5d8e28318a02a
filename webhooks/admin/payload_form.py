"""The form of a payload template: what it is for, and its content as text."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from access.admin_base.owners import OwnedForm, OwnerField
from access.principals import Principal
from access.selectors import visible
from core.event_types import catalogue
from core.models import Event
from integrations.contract.outbound import HttpDestination
from integrations.registry import with_capability
from templates_app.choices import ContentType
from templates_app.models import PayloadTemplate
from templates_app.payloads.services import MAX_NOTE, PayloadTemplateValues, VersionValues
from webhooks.admin.words import parse_headers
from webhooks.models import Webhook

_MONO = {"spellcheck": "false", "autocomplete": "off", "style": "font-family:monospace;font-size:13px;white-space:pre;overflow-x:auto"}
_EVENTS_OFFERED = 20
TEMPLATES_OFFERED = 500
_START = """{
  "text": "{{ message.title }}",
  "tone": {{ message.tone }},
  "findings": [
    {%- for finding in message.findings %}
    {"title": {{ finding.title }}, "severity": {{ finding.severity }}}{% unless forloop.last %},{% endunless %}
    {%- endfor %}
  ],
  "link": "{{ message.link }}"
}"""


def _area(rows: int, placeholder: str = "") -> UnfoldAdminTextareaWidget:
    return UnfoldAdminTextareaWidget(attrs={**_MONO, "rows": rows, "placeholder": placeholder})


class PayloadForm(OwnedForm):
    """A template with the content of its active version; saving another content makes a new version."""

    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget, help_text="Such as “Build chat”.")
    description = forms.CharField(required=False, max_length=2000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))
    platform = forms.ChoiceField(
        required=False,
        label="For",
        widget=UnfoldAdminSelectWidget,
        help_text="Through an integration the template makes the body only; address, headers and credentials are the integration's.",
    )
    content_type = forms.ChoiceField(
        choices=ContentType.choices,
        initial=ContentType.JSON,
        label="Makes",
        widget=UnfoldAdminSelectWidget,
        help_text="Values are escaped for it. What is no JSON is never sent as JSON.",
    )
    events = forms.CharField(
        initial="*",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "finding.*, gate.failed"}),
        help_text="What it is meant for, with commas: saving checks it with an example of each. * is everything.",
    )
    owner = OwnerField(help_text="Whose webhooks can have it; those of the admins can be given to any webhook by an admin.")
    body = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={**_MONO, "rows": 18, "data-numbered": ""}),
        strip=False,
        help_text="{{ message.title }} writes a value, {% if … %} and {% for … %} are tags. Inside quotes a value is escaped; outside, "
        "it is written as JSON with quotes of its own.",
    )
    headers = forms.CharField(
        required=False, widget=_area(2, "X-Severity: {{ data.severity }}"), help_text="One per line. Credentials belong to the webhook."
    )
    url_path = forms.CharField(
        required=False,
        max_length=2000,
        label="Path added",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "/repositories/{{ data.repository }}", "spellcheck": "false"}),
        help_text="To the webhook's URL. Values are encoded; they can't lead to another host.",
    )
    url_query = forms.CharField(
        required=False, label="Query added", widget=_area(2, "kind={{ event.type }}"), help_text="One per line, name=value."
    )
    note = forms.CharField(
        required=False,
        max_length=MAX_NOTE,
        widget=UnfoldAdminTextInputWidget,
        help_text="What this version changes, for the list of versions.",
    )

    class Media:
        js = ("repoguard/lines.js",)

    class Meta:
        model = PayloadTemplate
        fields: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        template = None if self.instance._state.adding else self.instance
        owner = str(template.owner) if template is not None and template.owner_id else None
        if isinstance(field := self.fields.get("owner"), OwnerField):
            field.offer(self.who, owner)
        if "platform" in self.fields:
            self.fields["platform"].choices = platforms()  # type: ignore[attr-defined]
        for name in ("owner", "platform", "content_type"):
            if template is not None and name in self.fields:
                self.fields[name].disabled = True
        present: dict[str, Any] = {"body": _START}
        if template is not None:
            present = {name: getattr(template, name) for name in ("name", "description", "platform", "content_type")}
            present |= {"owner": owner or "", "events": ", ".join(template.events), **_content(template)}
        self.initial = {**present, **self.initial}

    def clean_headers(self) -> Mapping[str, str]:
        """Return the headers."""
        return parse_headers(self.cleaned_data["headers"])

    def clean_url_query(self) -> Mapping[str, str]:
        """Return the parameters."""
        return parse_query(self.cleaned_data["url_query"])

    def clean(self) -> dict[str, Any] | None:
        """Put what the service says of one header or parameter beside the field that holds all of them."""
        refusal, placed = self.refusal, False
        for path, sentences in refusal.fields.items() if refusal is not None else ():
            root = path.partition(".")[0]
            if path not in self.fields and root in self.fields:
                placed = True
                for sentence in sentences:
                    self.add_error(root, f"{path.partition('.')[2]}: {sentence}")
        return self.cleaned_data if placed else super().clean()

    def template_values(self) -> PayloadTemplateValues:
        """Return what the service takes of the template."""
        data = self.cleaned_data
        names = [name.strip() for name in data["events"].replace("\n", ",").split(",") if name.strip()]
        values = PayloadTemplateValues(name=data["name"], description=data["description"], events=names)
        if self.instance._state.adding:
            values |= {"platform": data["platform"], "content_type": data["content_type"], "owner_id": data["owner"]}
        return values

    def version_values(self) -> VersionValues:
        """Return what the service takes of the content."""
        data = self.cleaned_data
        return VersionValues(_lines(data["body"]), data["headers"], data["url_path"], data["url_query"], data["note"])


def platforms() -> list[tuple[str, str]]:
    """Return what templates can be for."""
    found = [one for one in with_capability(HttpDestination) if issubclass(one, HttpDestination) and one.takes_templates]
    return [("", "webhooks to a URL of their own"), *((one.key, f"{one.title} ({one.key})") for one in found)]


def template_choices(who: Principal, webhook: Webhook | None) -> list[tuple[str, str]]:
    """Return the payload templates that can be chosen, and what each is for."""
    rows = list(visible(PayloadTemplate.objects.order_by("name"), who)[:TEMPLATES_OFFERED])
    if webhook is not None and webhook.payload_template is not None and webhook.payload_template not in rows:
        rows.append(webhook.payload_template)
    return [("", "none: what is sent without one"), *((str(row.id), f"{row.name} (for {row.platform or 'a URL'})") for row in rows)]


def preview_choices(who: Principal) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the events to preview with: the newest recorded ones that the caller sees, and the example of each type."""
    rows = visible(Event.objects.only("id", "type", "created_at"), who).order_by("-id")[:_EVENTS_OFFERED]
    recorded = [(str(row.id), f"{row.type}, {row.created_at:%d %b %H:%M:%S} UTC") for row in rows]
    examples = [(one.name, one.name) for one in catalogue.all()]
    return [("Examples", examples), *([("Recorded", recorded)] if recorded else [])]


def preview_values(data: Mapping[str, Any]) -> VersionValues:
    """Return the content as it stands in a form that is being written. Raises ValidationError naming a wrong line."""
    headers, query = parse_headers(str(data.get("headers", ""))), parse_query(str(data.get("url_query", "")))
    return VersionValues(_lines(str(data.get("body", ""))), headers, str(data.get("url_path", "")).strip(), query)


def event_asked(text: str) -> tuple[uuid.UUID | None, str]:
    """Return the id or the type of a choice."""
    try:
        return uuid.UUID(text), ""
    except ValueError:
        return None, text


def parse_query(text: str) -> Mapping[str, str]:
    """Return the parameters of a text with one `name=value` per line; raises ValidationError naming the line."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            name, equals, value = line.partition("=")
            if not equals or not name.strip() or name.strip() in found:
                raise forms.ValidationError(f"Line {number} of the query must be name=value, each name once.")
            found[name.strip()] = value.strip()
    return found


def _content(template: PayloadTemplate) -> dict[str, Any]:
    version = template.active
    if version is None:
        return {"body": ""}
    return {
        "body": version.body,
        "headers": "\n".join(f"{name}: {value}" for name, value in version.headers.items()),
        "url_path": version.url_path,
        "url_query": "\n".join(f"{name}={value}" for name, value in version.url_query.items()),
    }


def _lines(text: str) -> str:
    """Return a text with the line ends that it was written with: browsers send others."""
    return text.replace("\r\n", "\n")
