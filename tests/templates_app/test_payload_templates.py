from __future__ import annotations

from contextlib import ExitStack

import pytest

from access.models import AuditEntry
from core import bus
from core.errors import Conflict, InvalidInput, RateLimited
from core.event_types import catalogue
from templates_app.models import PayloadTemplate, TemplateVersion
from templates_app.payloads import selectors, services
from templates_app.payloads.checking import HOSTILE
from templates_app.payloads.content import Parts, read, render_event
from templates_app.payloads.places import trying_out
from templates_app.payloads.services import VersionValues
from templates_app.payloads.variables import example_event, variables
from templates_app.rendering.meter import TemplateRefused
from templates_app.rendering.refused import MOST_CHARACTERS, MOST_LINES
from tests.access.keys import client_of
from tests.factories import owner_of
from tests.templates_app.payload_kit import BODY, payload_template

pytestmark = pytest.mark.django_db
URL = "/api/v1/payload-templates"


# --- versions ---------------------------------------------------------------------------------------------------------


def test_versions_are_added_and_an_older_one_can_be_active_again() -> None:
    template = payload_template()
    added, is_new = services.add_version(template, VersionValues('{"t": "{{ message.title }}"}', note="shorter"))
    assert (added.number, is_new) == (2, True)
    assert services.add_version(template, VersionValues('{"t": "{{ message.title }}"}')) == (added, False)  # run twice
    rolled = services.roll_back(template, 1)
    assert (rolled.active.number, rolled.latest) == (1, 2)
    assert services.add_version(template, VersionValues("{}"))[0].number == 3
    with pytest.raises(TypeError):
        added.save()
    with pytest.raises(InvalidInput, match="9 is no version"):
        services.roll_back(template, 9)
    told = [(entry.action, entry.changes.get("version")) for entry in AuditEntry.objects.order_by("id") if entry.action]
    assert told == [("new-version", [1, 2]), ("rollback", [2, 1]), ("new-version", [1, 3])]


def test_the_active_versions_are_read_at_constant_cost_and_once(django_assert_num_queries) -> None:
    templates = [payload_template(name=f"t{number}") for number in range(3)]
    ids = [template.id for template in templates]
    with django_assert_num_queries(2):
        found = selectors.active_versions(ids)
    with django_assert_num_queries(1):
        assert selectors.active_versions(ids) == found
    services.add_version(templates[0], VersionValues("{}"))
    assert selectors.active_versions(ids)[ids[0]].parts.body == "{}"


def test_the_diff_is_of_all_parts() -> None:
    template = payload_template(headers={"X-A": "1"})
    newer = services.add_version(template, VersionValues(BODY, headers={"X-A": "2"}, url_path="/x"))[0]
    lines = selectors.diff(selectors.version(template, 1), newer).splitlines()
    assert {"-header X-A: 1", "+header X-A: 2", "+url_path: /x"} <= set(lines)
    assert not any(line.startswith(("+{", "-{")) for line in lines)


# --- the check --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"body": '{"a": "{{ message.title }}",}'}, "body", "no JSON: trailing comma is not allowed in line 1, column"),
        ({"body": "{% for f in message.findings %}{{ f.title }},{% endfor %}1"}, "body", "output"),
        ({"body": '{"a":\n {{ message.titel }}}'}, "body", "Line 2, column 5: message.titel is unknown; message has branch"),
        ({"body": '{"a": {{ evnt.id }}}'}, "body", "there are event, data and message"),
        ({"body": '{"a": {{ message.findings[0].name }}}'}, "body", "message.findings.0.name is unknown"),
        ({"body": "{{ data.title "}, "body", "Line 1, column 1: {{ is never closed"),
        ({"body": ""}, "body", "empty"),
        ({"headers": {"Authorization": "x"}}, "headers", "webhook's own headers"),
        ({"headers": {"Content-Length": "1"}}, "headers", "can't be set"),
        ({"headers": {"X-A": "{{ data.x | foo }}"}}, "headers.X-A", "no filter foo"),
        ({"url_path": "{{ '..' }}/{{ data.title }}"}, "url_path", "lead elsewhere"),
        ({"platform": "http", "headers": {"X-A": "1"}}, "headers", "its own headers and address"),
        ({"platform": "github"}, "platform", "no connector that takes templates"),
        ({"events": ["nothing.here"]}, "events", "not a known event type"),
        ({"content_type": "image/png"}, "content_type", "must be one of"),
        ({"name": "  "}, "name", "printable"),
    ],
)
def test_what_can_not_work_is_refused_and_says_where(changes, field, sentence) -> None:
    with pytest.raises(InvalidInput) as refused:
        payload_template(**({"body": BODY} | changes))
    assert sentence in refused.value.fields[field][0]
    assert not PayloadTemplate.objects.exists()


def test_what_can_not_be_tried_with_all_types_is_refused() -> None:
    body = "{% for i in (1..2000) %}{% assign a = i | plus: 1 %}{% endfor %}{}"
    assert payload_template(body, name="few", events=["custom.*"])
    with pytest.raises(InvalidInput, match="name fewer in events"):
        payload_template(body, events=["*"])


def test_names_are_unique_per_owner_also_for_the_admins(alice) -> None:
    payload_template()
    payload_template(owner_id=owner_of(alice).id)
    for owner_id in (None, owner_of(alice).id):
        with pytest.raises(InvalidInput, match="is taken"):
            payload_template(owner_id=owner_id)


def test_variables_that_no_documented_event_has_are_told_and_not_refused() -> None:
    template = payload_template('{"a": {{ data.titel }}, "b": {{ data.title }}}', events=["finding.opened"])
    assert template.active.warnings == ["Line 1, column 10: data.titel is in none of these events as they are documented."]


def test_every_documented_variable_can_be_used_with_its_type() -> None:
    for event_type in catalogue.all():
        names = [variable.name for variable in variables(event_type) if "[]" not in variable.name]
        body = "[" + ", ".join(f'{{{{ {name} }}}}, "{{{{ {name} }}}}"' for name in names) + "]"
        rendered = render_event(read(Parts("application/json", body)), example_event(event_type))
        assert rendered.body


@pytest.mark.once
def test_values_can_not_lead_the_request_elsewhere() -> None:
    content = read(Parts("text/plain", "-", {"X-T": "{{ data.title }}"}, "to/{{ data.title }}/@evil.example", {"a&b": "{{ data.title }}"}))
    for title in (HOSTILE, "../../x", "//evil.example/", "?a=b#c", "\r\nHost: evil"):
        rendered = render_event(content, example_event(catalogue.types["finding.opened"], {"title": title}))
        address = rendered.address("https://good.example/base?key=1")
        assert address.startswith("https://good.example/base/to/")
        assert address.count("?") == 1
        assert "#" not in address
        assert address.count("/") == 6
        assert address.rpartition("?")[2].startswith("key=1&a%26b=")
        assert "\n" not in rendered.headers["X-T"]
    up = read(Parts("text/plain", "-", url_path="{{ data.title }}"))
    with pytest.raises(TemplateRefused, match="lead elsewhere"):
        render_event(up, example_event(catalogue.types["finding.opened"], {"title": ".."}))


# --- the API ----------------------------------------------------------------------------------------------------------


def test_the_life_of_a_template(alice) -> None:
    client = client_of(alice)
    made = client.post(URL, {"name": "Chat", "events": ["finding.*"], "body": BODY, "note": "first"}, format="json")
    assert (made.status_code, made.json()["active"]["number"], made.json()["owner"]) == (201, 1, "user:alice")
    one = f"{URL}/{made.json()['id']}"
    second = {"body": '{"text": {{ message.title }}}', "note": "second"}
    assert client.post(f"{one}/versions", second, format="json").status_code == 201
    assert client.post(f"{one}/versions", second, format="json").status_code == 200
    assert [row["number"] for row in client.get(f"{one}/versions").json()["results"]] == [2, 1]
    told = client.get(f"{one}/versions/2/diff").json()
    assert (told["from"], told["to"]) == (1, 2)
    assert f"-{BODY}" in told["diff"].splitlines()
    assert client.get(f"{one}/versions/2/diff?from=x").status_code == 400
    assert client.get(f"{one}/versions/7/diff").status_code == 404
    assert client.post(f"{one}/rollback", {"version": 1}, format="json").json()["active"]["number"] == 1
    assert client.patch(one, {"name": "Talk"}, format="json").json()["name"] == "Talk"
    assert client.patch(one, {"platform": "http"}, format="json").json()["fields"]["platform"]
    assert client.patch(one, {"body": "{}"}, format="json").status_code == 400
    assert client.delete(one).status_code == 204
    assert not TemplateVersion.objects.exists()


def test_a_template_in_use_is_kept_and_its_webhooks_are_named(alice) -> None:
    client, template = client_of(alice), payload_template(owner_id=owner_of(alice).id)
    hook = {"name": "Deploy bot", "url": "https://ci.example.com/", "events": ["finding.*"], "payload_template": str(template.id)}
    made = client.post("/api/v1/webhooks", hook, format="json").json()
    assert made["payload_template"] == str(template.id)
    refused = client.delete(f"{URL}/{template.id}")
    assert (refused.status_code, refused.json()["code"]) == (409, "in_use")
    assert "Deploy bot" in refused.json()["message"]
    assert client.delete(f"/api/v1/webhooks/{made['id']}").status_code == 204
    assert client.delete(f"{URL}/{template.id}").status_code == 204
    with pytest.raises(Conflict):
        services.delete_template(template)


def test_previews_are_of_examples_and_of_visible_events_only(alice, bob) -> None:
    mine = bus.publish("custom.deployed", {"severity": 'x"y'}, owner_id=owner_of(alice).id)
    theirs = bus.publish("custom.deployed", {}, owner_id=owner_of(bob).id)
    client = client_of(alice)

    def preview(**more):
        return client.post(f"{URL}/preview", {"body": BODY, **more}, format="json").json()

    assert preview(event_type="finding.opened")["body"].startswith('{"text": "New: high')
    told = preview(event_id=str(mine.id), url="https://ci.example.com/in", url_path="a/{{ data.severity }}")
    assert told["body"].endswith('"severity": "x\\"y"}')
    assert (told["url"], told["problems"]) == ("https://ci.example.com/in/a/x%22y", [])
    assert told["used"]["steps"] < told["limits"]["steps"]
    assert preview(event_id=str(theirs.id))["fields"]["event_id"]
    broken = preview(event_type="custom.x", headers={"X-A": "{{ x"})
    assert (broken["body"], broken["url"]) == (None, None)
    assert broken["problems"] == ["headers.X-A: Line 1, column 1: {{ is never closed with }}."]
    only = client_of(alice, "templates:write")
    assert only.post(f"{URL}/preview", {"body": BODY, "event_id": str(mine.id)}, format="json").status_code == 403


@pytest.mark.once
@pytest.mark.parametrize(
    ("body", "before", "wrong", "most"),
    [
        ("{\n  \"a\": {{ message.tone }}\n  'b': 1\n}", 2, "'", 100),
        ('{"a": 1', 0, "", 100),  # it ends too early
        ("[{% for i in (1..900) %}\n{{ i }},{% endfor %}\n x{% for i in (1..300) %}\n1{% endfor %}]", MOST_LINES, "x", 3000),
        ('["' + "é" * 20000 + '\U0001f600"x"' + "é" * 9000 + '"]', 0, "x", 25_010),
        ("[\n" + '"" \ud83d', 1, "?", 100),  # half a character, which no answer could carry
    ],
)
def test_output_that_is_no_json_is_shown_around_the_error(body, before, wrong, most) -> None:
    event = example_event(catalogue.types["finding.opened"])
    preview = selectors.preview(Parts("application/json", body), event)
    refused = preview.refused
    lines = refused.text.split("\n")
    row = refused.line - refused.first_line
    column = refused.column - (refused.first_column if row == 0 else 1)
    assert (row, lines[row][column : column + 1], refused.of) == (before, wrong, "finding.opened")
    assert len(refused.text) <= most < 2 * MOST_CHARACTERS
    assert f"line {refused.line}, column {refused.column} of the output" in preview.problems[0]
    assert refused.text not in repr(refused)


def test_a_preview_gives_the_output_that_a_save_would_refuse(alice) -> None:
    body = '{"severity": {{ data.severity }}{% unless data.severity %},{% endunless %}}'
    told = client_of(alice).post(f"{URL}/preview", {"body": body, "events": ["finding.opened"]}, format="json").json()
    assert told["body"] == '{"severity": "high"}'
    assert told["refused_output"] == {
        "of": "finding.opened (with nothing in its data)",
        "text": '{"severity": null,}',
        "first_line": 1, "first_column": 1, "line": 1, "column": 18, "size": 19,
    }  # fmt: skip
    assert client_of(alice).post(f"{URL}/preview", {"body": "{}", "events": ["*"]}, format="json").json()["refused_output"] is None


def test_trying_out_leaves_threads_to_others(alice, settings) -> None:
    client = client_of(alice)
    template = payload_template(owner_id=owner_of(alice).id)
    with ExitStack() as places:
        for _ in range(settings.WEB_THREADS // 2):
            places.enter_context(trying_out())
        with pytest.raises(RateLimited), trying_out():
            pass
        answer = client.post("/api/v1/payload-templates/preview", {"body": BODY}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert int(answer.headers["Retry-After"]) >= 1
        assert client.post(f"/api/v1/payload-templates/{template.id}/versions", {"body": BODY + " "}, format="json").status_code == 429
    assert client.post("/api/v1/payload-templates/preview", {"body": BODY}, format="json").status_code == 200


def test_large_versions_are_not_compared() -> None:
    older, newer = TemplateVersion(number=1, body="a\nb\n" * 5000), TemplateVersion(number=2, body="b\na\n" * 5000)
    assert selectors.diff(older, newer).splitlines()[2:] == ["@@ more than 2,000 lines, which are not compared @@"]
    assert selectors.diff(older, TemplateVersion(number=2, body=older.body)) == ""


def test_variables_are_served_per_event_type(alice) -> None:
    told = client_of(alice).get(f"{URL}/variables?event_type=gate.failed").json()
    names = {entry["name"]: entry for entry in told["variables"]}
    assert names["message.title"]["example"].startswith("Gate failed")
    assert {"event.id", "data.repository", "message.findings[].title", "message.counts[].words"} <= names.keys()
    assert client_of(alice).get(f"{URL}/variables?event_type=no.such").status_code == 400
