from __future__ import annotations

import contextlib
import copy
import json
import threading
from typing import Any

import jsonschema_rs
import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from access.models import AuditEntry
from core.errors import Conflict, InvalidInput
from integrations.gateway.schemas import compiled
from integrations.registry import CONNECTORS
from templates_app import services
from templates_app.asked import _KEYWORDS, as_fields, complete, examples
from templates_app.blueprint import check_template
from templates_app.builtin import documents, ensure_builtins
from templates_app.models import IntegrationTemplate
from tests.factories import owner_of
from tests.templates_app.kit import CONFIG, ENDPOINTS, SECRET, VALUES, WEBHOOKS, changed, make_template, values_of

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def _errors(**changes) -> dict[str, list[str]]:
    with pytest.raises(InvalidInput) as caught:
        make_template(**changes)
    assert not IntegrationTemplate.objects.exists()
    return caught.value.fields


# --- What may be stored -----------------------------------------------------------------------------------------------


def test_a_good_template_is_stored_and_audited(alice):
    template = make_template(owner_id=owner_of(alice).id)
    assert (template.version, template.key) == (1, None)
    assert AuditEntry.objects.get(object_id=str(template.pk)).verb == "created"


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("config.other", 1, "config.other"),
        ("config.schema", [], "config.schema"),
        ("config.schema.$ref", "#/x", "config.schema"),
        ("config.schema.properties.Bad", {"type": "string"}, "config.schema.properties.Bad"),
        ("config.schema.properties.path", {"type": "null"}, "config.schema.properties.path"),
        ("config.schema.properties.path", {"type": "string", "pattern": "("}, "config.schema.properties.path"),
        ("config.schema.properties.path", {"type": "string", "pattern": "^a$"}, "config.schema.properties.path"),
        ("config.schema.properties.path", {"type": "string", "$ref": "#"}, "config.schema.properties.path"),
        ("config.schema.properties.events", {"type": "array", "items": True}, "config.schema.properties.events"),
        *(
            ("config.schema.properties.events", {"type": "array", "items": {"$ref": place}}, "config.schema.properties.events")
            for place in ("http://127.0.0.1:9/x", "file:///etc/passwd")
        ),
        ("config.schema.properties.path", {"type": "string", "default": {"$ref": "file:///etc/passwd"}}, "config.schema.properties.path"),
        ("config.schema.properties.path", {"type": "string", "minLength": 10**9}, "config.schema.properties.path"),
        ("config.schema.properties.path", {"type": "string", "x-link": "javascript:alert(1)"}, "config.schema.properties.path"),
        ("config.schema.properties.path", {"type": "string", "x-link": ["x"]}, "config.schema.properties.path"),
        ("config.schema.properties.token", {"type": "integer", "writeOnly": True}, "config.schema.properties.token"),
        ("config.schema.properties.token", {"type": "string", "writeOnly": True, "default": "x"}, "config.schema.properties.token"),
        ("config.required", ["nothing"], "config.required"),
        ("config.required", "base_url", "config.required"),
        ("config.defaults.path", 5, "config.defaults.path"),
        ("config.defaults.nothing", 5, "config.defaults.nothing"),
        ("config.defaults.token", "x", "config.defaults.token"),
        ("config.integration.owner_id", "x", "config.integration.owner_id"),
        ("config.integration.name", "x", "config.integration.name"),
        ("config.integration.config.nothing", "x", "config.integration.config.nothing"),
        ("config.integration.config.base_url", "{{ nothing }}", "config.integration.config.base_url"),
        ("config.integration.config.base_url", "https://{{ Host }}", "config.integration.config.base_url"),
        ("config.integration.criticality", "huge", "config.integration.criticality"),
        ("endpoints.0.path", "no-slash\r\n", "endpoints.0.path"),
        ("endpoints.0.secret", "x", "endpoints.0.secret"),
        ("endpoints.0.method", "TRACE", "endpoints.0.method"),
        ("webhooks.0.events", ["no.such.type"], "webhooks.0.events"),
        ("webhooks.0.events", [], "webhooks.0.events"),
        ("webhooks.0.name", "", "webhooks.0.name"),
        ("webhooks.0.secrets", "x", "webhooks.0.secrets"),
        ("webhooks.0.destination.nothing", "x", "webhooks.0.destination.nothing"),
        ("webhooks.0", 5, "webhooks"),
        ("webhooks.1.url", 5, "webhooks.1.url"),
        ("webhooks.1.url", None, "webhooks.1.url"),
        ("webhooks.1.url", "ftp://receiver.example.com/", "webhooks.1.url"),
        ("webhooks.1.url", "{{ target }}", "webhooks.1.url"),
        ("webhooks.1.destination", {"path": "/x"}, "webhooks.1.destination"),
        ("webhooks.1.headers", 5, "webhooks.1.headers"),
        ("webhooks.1.headers", {"Host": "{{ token }}"}, "webhooks.1.headers"),
        ("webhooks.0.events", "{{ path }}", "webhooks.0.events"),
        ("webhooks.0.filter", {"severity": {"$in": []}}, "webhooks.0.filter"),
        ("webhooks.0.filter", "x", "webhooks.0.filter"),
        ("webhooks.0.routing", {"min_severity": "worst"}, "webhooks.0.routing.min_severity"),
        ("webhooks.0.retry_config", {"schedule": ["soon"]}, "webhooks.0.retry_config"),
        ("webhooks.0.retry_config", "{{ events }}", "webhooks.0.retry_config"),
        ("webhooks.0.rate_limit", "fast", "webhooks.0.rate_limit"),
        ("webhooks.0.rate_limit", "{{ path }}", "webhooks.0.rate_limit"),
        ("webhooks.0.concurrency", 0, "webhooks.0.concurrency"),
        ("webhooks.0.priority", "high", "webhooks.0.priority"),
        ("webhooks.0.status", "sleeping", "webhooks.0.status"),
        ("webhooks.0.name", 5, "webhooks.0.name"),
        ("endpoints.0.enabled", 5, "endpoints.0.enabled"),
        ("endpoints.0.enabled", "{{ path }}", "endpoints.0.enabled"),
        ("endpoints.0.cache_seconds", "{{ events }}", "endpoints.0.cache_seconds"),
        ("endpoints", [ENDPOINTS[0]] * 2, "endpoints.1.name"),
        *(
            (path, text, path)
            for path in ("config.integration.purpose", "config.defaults.path", "endpoints.0.description", "webhooks.0.filter.a")
            for text in ("a\0b", "a\ud800b")
        ),
        ("config.schema.properties.path.title", "a\0b", "config.schema.properties.path.title"),
        ("webhooks.0.filter", {"a\0b": 1}, "webhooks.0.filter.a\N{SYMBOL FOR NULL}b"),
    ],
)
def test_what_is_wrong_is_named(path, value, field):
    assert field in _errors(**changed(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("config.integration.credentials.token", SECRET),
        ("config.integration.credentials.token", "Bearer {{ path }}"),
        ("config.integration.config.health_path", "/{{ token }}"),
        ("config.integration.purpose", "The token is {{ token }}."),
        ("config.integration.config.headers", {"X-Key": "ghp_" + "a1B2" * 9}),
        ("config.defaults.path", "/ghp_" + "a1B2" * 9),
        ("endpoints.0.fixed_query", {"key": "{{ token }}"}),
        ("webhooks.0.destination.path", "/{{ token }}"),
        ("webhooks.1.url", "https://receiver.example.com/{{ token }}"),
        ("webhooks.1.headers", {"Authorization": "Bearer abcdefgh12345678"}),
    ],
)
def test_a_template_never_holds_or_shows_a_secret(path, value):
    errors = _errors(**changed(path, value))
    assert any(name.startswith(path) for name in errors)
    assert SECRET not in json.dumps(errors)


@pytest.mark.parametrize("name", ["name", "description", "type"])
def test_no_text_holds_what_only_one_database_stores(name, alice):
    assert name in _errors(**{name: "a\0b"})
    document = services.export_template(make_template())
    document["template"][name] = "a\0b"
    with pytest.raises(InvalidInput) as caught:
        services.import_template(document, owner_of(alice).id)
    assert name in caught.value.fields
    with pytest.raises(InvalidInput):
        services.update_template(IntegrationTemplate.objects.get(), {name: "a\0b"})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("webhooks.1.url", "{{ address }}"),
        ("webhooks.1.url", "https://{{ address }}/in"),
        ("webhooks.0.events", "{{ kinds }}"),
        ("webhooks.0.rate_limit", "{{ target }}"),
        ("webhooks.0.concurrency", "{{ number }}"),
        ("webhooks.0.filter", "{{ condition }}"),
        ("webhooks.0.retry_config", {"schedule": "{{ kinds }}"}),
        ("endpoints.0.path", "{{ address }}"),
        ("endpoints.0.name", "{{ address }}"),
        ("endpoints.0.cache_seconds", "{{ number }}"),
    ],
)
def test_a_placeholder_stands_for_any_value_of_its_type(path, value):
    whole = changed(path, value)
    whole["config"]["schema"]["properties"] |= {
        "address": {"type": "string"},
        "kinds": {"type": "array", "items": {"type": "string"}},
        "number": {"type": "integer"},
        "condition": {"type": "object"},
    }
    assert make_template(**whole).pk


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def _paths(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above, *(path for key, inner in parts for path in _paths(inner, (*above, key)))]


@settings(max_examples=200)
@given(data=st.data(), value=_ANYTHING)
def test_whatever_stands_in_it_is_refused_in_words_or_works(data, value):
    whole: dict[str, Any] = {"config": copy.deepcopy(CONFIG), "endpoints": copy.deepcopy(ENDPOINTS), "webhooks": copy.deepcopy(WEBHOOKS)}
    keyword = data.draw(st.sampled_from(sorted(_KEYWORDS)))
    whole["config"]["schema"]["properties"]["path"].setdefault(keyword, None)
    path = data.draw(st.sampled_from([*_paths(whole)[1:], ("config", "schema", "properties", "path", keyword)]))
    place: Any = whole
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    template = IntegrationTemplate(name="Any", type="http", **whole)
    with contextlib.suppress(InvalidInput):
        check_template(template)
        as_fields(template.config)


@pytest.mark.parametrize("place", ["http://127.0.0.1:9/x", "file:///etc/hostname"])
def test_no_schema_fetches_anything(place):
    """A reference that slipped through every check is refused for being outside, not for what is (not) found there."""
    with pytest.raises((ValueError, jsonschema_rs.ReferencingError), match="Retrieval is disabled"):
        compiled(json.dumps({"items": {"$ref": place}}))


@pytest.mark.parametrize("config", [{}, {"schema": {}}, {"schema": {"properties": {}}}, {"required": ["x"]}])
def test_a_template_without_a_schema_is_refused_in_words(config):
    assert _errors(config=config)


@pytest.mark.parametrize("type", ["", "nothing", None])
def test_its_connector_must_exist(type):
    assert "type" in _errors(type=type)


def test_sizes_are_bounded():
    assert "config" in _errors(config={"schema": {"description": "x" * 300_000}})
    assert "name" in _errors(name="")
    assert "description" in _errors(description="x" * 2001)


# --- Values -----------------------------------------------------------------------------------------------------------


def test_values_are_completed_by_defaults():
    assert complete(CONFIG, VALUES | {"target": 99}) == {
        **VALUES, "path": "/health", "criticality": "important", "events": ["finding.*"], "target": 99,
    }  # fmt: skip


def test_wrong_values_are_named_all_at_once_and_secrets_not_shown():
    with pytest.raises(InvalidInput) as caught:
        complete(CONFIG, {"base_url": "no url", "token": 12345, "target": 101, "nothing": 1, "path": "a\nb"})
    assert set(caught.value.fields) == {f"values.{name}" for name in ("base_url", "token", "target", "nothing", "path")}
    assert caught.value.fields["values.token"][0].startswith("is not as it should be: a value of the type string")
    assert "12345" not in str(caught.value.fields)


@pytest.mark.parametrize("values", [None, [], "x"])
def test_values_are_an_object(values):
    with pytest.raises(InvalidInput):
        complete(CONFIG, values)


def test_forms_are_made_of_what_is_asked_for():
    fields = {field.name: field for field in as_fields(CONFIG)}
    assert fields["token"].secret
    assert fields["token"].required
    assert fields["criticality"].choices[0] == ("critical", "critical")
    assert fields["path"].default == "/health"
    assert [fields[name].kind for name in ("base_url", "target", "events")] == ["url", "number", "words"]
    assert set(examples(CONFIG)) == set(fields)


# --- Changing ---------------------------------------------------------------------------------------------------------


def test_a_change_raises_the_version_and_no_change_does_not():
    template = make_template()
    assert services.update_template(template, {"description": "New."}).version == 2
    assert services.update_template(template, {"description": "New."}).version == 2
    with pytest.raises(InvalidInput):
        services.update_template(template, {"config": {"nothing": 1}})


def test_the_owner_stays(alice):
    with pytest.raises(InvalidInput):
        services.update_template(make_template(), {"owner_id": owner_of(alice).id})


# --- Built-in ones ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", sorted(documents()))
def test_each_built_in_template_works(key):
    document = documents()[key]
    version = document.pop("version")
    template = IntegrationTemplate(key=key, version=version, **document)
    check_template(template)
    assert document["type"] in {connector.key for connector in CONNECTORS}
    assert document["description"]
    for name, schema in document["config"]["schema"]["properties"].items():
        assert schema.get("title"), name


def test_they_are_stored_once_renewed_and_removed_with_the_code(alice):
    assert ensure_builtins() == len(documents()) >= 6
    assert ensure_builtins() == 0
    ids = set(IntegrationTemplate.objects.values_list("id", flat=True))
    own = make_template(name="REST API with a bearer token", owner_id=owner_of(alice).id)
    IntegrationTemplate.objects.filter(key="graphql-api").update(name="meddled with")
    IntegrationTemplate.objects.create(key="of-a-former-release", name="old", type="http", is_public=True)
    assert ensure_builtins() == 2
    assert set(IntegrationTemplate.objects.values_list("id", flat=True)) == ids | {own.id}
    assert IntegrationTemplate.objects.get(key="graphql-api").name == "GraphQL API"


def test_they_are_only_read():
    ensure_builtins()
    template = IntegrationTemplate.objects.filter(key__isnull=False).first()
    for act in (lambda: services.update_template(template, {"name": "mine"}), lambda: services.delete_template(template)):
        with pytest.raises(Conflict, match="built in"):
            act()


# --- Export and import ------------------------------------------------------------------------------------------------


def test_an_export_is_always_the_same_text(alice):
    template = make_template(owner_id=owner_of(alice).id)
    text = json.dumps(services.export_template(template))
    assert text == json.dumps(services.export_template(IntegrationTemplate.objects.get(pk=template.pk)))
    assert str(owner_of(alice).id) not in text


def test_what_was_exported_is_imported_once(alice, charlie):
    document = services.export_template(make_template(owner_id=owner_of(alice).id))
    owner_id = owner_of(charlie).id
    first, written = services.import_template(document, owner_id)
    assert (written, first.owner_id, first.is_public, first.version) == (True, owner_id, False, 1)
    assert services.import_template(document, owner_id) == (first, False)
    assert services.export_template(first) == document
    assert IntegrationTemplate.objects.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("teams", [True, False])
def test_two_imports_at_once_are_one_template(alice, teams):
    document = services.export_template(make_template())
    owner_id = owner_of(alice).id if teams else None
    document["template"]["key"] = "shared-by-all"
    barrier, found = threading.Barrier(4, timeout=20), []

    def take(number):
        mine = copy.deepcopy(document)
        mine["template"]["version"] = 1 + number % 2  # two of each version
        barrier.wait()
        try:
            found.append(services.import_template(mine, owner_id)[1])
        except Conflict as error:
            found.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=take, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (stored,) = IntegrationTemplate.objects.filter(origin="shared-by-all")
    assert stored.version == 2, "the newer one wins, whoever came first"
    assert len(found) == 4
    assert set(found) <= {True, False, "older_version"}
    assert 1 <= found.count(True) <= 2


def test_ones_own_export_is_no_second_template(alice):
    template = make_template(owner_id=owner_of(alice).id)
    assert services.import_template(services.export_template(template), template.owner_id) == (template, False)


def test_other_content_under_the_same_version_is_refused(alice):
    template = make_template(owner_id=owner_of(alice).id)
    document = services.export_template(template)
    document["template"]["description"] = "Other."
    with pytest.raises(Conflict, match="higher version"):
        services.import_template(document, template.owner_id)


def test_a_newer_version_replaces_the_own_import_and_an_older_one_is_refused(alice, charlie):
    source, owner_id = make_template(owner_id=owner_of(alice).id), owner_of(charlie).id
    old = services.export_template(source)
    mine, _ = services.import_template(old, owner_id)
    new = services.export_template(services.update_template(source, {"description": "Newer."}))
    again, written = services.import_template(new, owner_id)
    assert (again.pk, written, again.description, again.version) == (mine.pk, True, "Newer.", 2)
    with pytest.raises(Conflict, match="older"):
        services.import_template(old, owner_id)
    assert IntegrationTemplate.objects.get(pk=source.pk).owner_id == owner_of(alice).id


def test_an_import_never_touches_built_in_ones_or_those_of_others(alice, charlie):
    ensure_builtins()
    source = IntegrationTemplate.objects.get(key="graphql-api")
    document = services.export_template(source)
    document["template"]["version"] = 99
    mine, _ = services.import_template(document, owner_of(charlie).id)
    other, _ = services.import_template(document, owner_of(alice).id)
    assert len({mine.pk, other.pk, source.pk}) == 3
    source.refresh_from_db()
    assert (source.version, source.key, mine.key) == (1, "graphql-api", None)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("format", "other", "format"),
        ("format_version", 2, "format_version"),
        ("format_version", "1", "format_version"),
        ("format_version", True, "format_version"),
        ("template", [], "template"),
        ("template.key", "", "template.key"),
        ("template.version", 0, "template.version"),
        ("template.nothing", 1, "template"),
        ("template.name", 5, "name"),
        ("template.config", [], "config"),
        ("template.webhooks", {}, "webhooks"),
    ],
)
def test_a_document_that_cannot_be_read_is_refused_in_words(alice, path, value, field):
    document = copy.deepcopy(services.export_template(make_template()))
    place = document
    *parents, last = path.split(".")
    for name in parents:
        place = place[name]
    place[last] = value
    with pytest.raises(InvalidInput) as caught:
        services.import_template(document, owner_of(alice).id)
    assert field in caught.value.fields
    assert IntegrationTemplate.objects.count() == 1


def test_a_newer_format_is_named_as_such():
    with pytest.raises(InvalidInput, match="newer RepoGuard") as caught:
        services.import_template({"format": services.FORMAT, "format_version": 7}, None)
    assert caught.value.code == "newer_format"
    assert values_of()["name"] == "Tickets"
