"""What is made of a template, and the rules that a template must keep to be stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from core import redact
from core.errors import InvalidInput
from integrations.contract.describe import example as connector_example
from integrations.contract.values import Values
from integrations.gateway import endpoints
from integrations.registry import find
from integrations.services.drafts import new_draft
from integrations.services.values import IntegrationValues
from templates_app.asked import check_asked, complete, examples, properties, secret_names
from templates_app.models import IntegrationTemplate
from templates_app.parts import Errors, endpoint_errors, webhook_errors
from templates_app.placeholders import fill, leaves, leftover, names_in, whole

MAX_ENDPOINTS, MAX_WEBHOOKS = 50, 20
_CONFIG = ("schema", "defaults", "required", "integration")
_INTEGRATION = frozenset(IntegrationValues.__annotations__) - {"name", "type", "owner_id", "credentials_expire_at"}
_ENDPOINT = frozenset(endpoints.EndpointValues.__annotations__)
_WEBHOOK = frozenset(
    {
        "name",
        "url",
        "destination",
        "events",
        "filter",
        "routing",
        "headers",
        "retry_config",
        "rate_limit",
        "concurrency",
        "priority",
        "status",
    }
)


@dataclass(frozen=True)
class Filled:
    """A template with its values: what the services take. Webhooks without a URL go through the integration."""

    integration: Values
    endpoints: list[Values]
    webhooks: list[Values]


def filled(template: IntegrationTemplate, values: object) -> Filled:
    """Return what is to be made of a template; raises one InvalidInput that names every wrong value as `values.<name>`."""
    return _filled(template, complete(template.config, values))


def check_template(template: IntegrationTemplate) -> None:
    """Raise one InvalidInput that names everything that is wrong with a template."""
    errors = _shape_errors(template)
    if not errors:
        errors = check_asked(template.config) or _place_errors(template)
    if not errors:
        errors = _trial_errors(template)
    if errors:
        raise InvalidInput(" ".join(f"{field}: {sentences[0]}" for field, sentences in list(errors.items())[:5]), fields=errors)


def blueprints(template: IntegrationTemplate) -> dict[str, Any]:
    """Return the parts of a template that hold placeholders, by the path under which errors name them."""
    return {"config.integration": template.config.get("integration", {}), "endpoints": template.endpoints, "webhooks": template.webhooks}


def is_secret_place(path: str) -> bool:
    """Say whether what stands at a path is stored encrypted: the credentials, and extra headers of webhooks."""
    parts = path.split(".")
    return parts[:3] == ["config", "integration", "credentials"] or (parts[0] == "webhooks" and parts[2:3] == ["headers"])


def _filled(template: IntegrationTemplate, values: Mapping[str, Any]) -> Filled:
    made = {path: fill(part, values) for path, part in blueprints(template).items()}
    return Filled(made["config.integration"], made["endpoints"], made["webhooks"])


def _shape_errors(template: IntegrationTemplate) -> Errors:
    config, errors = template.config, Errors()
    if not isinstance(config, dict) or not isinstance(config.get("integration", {}), dict):
        return {"config": [f"must be a JSON object with {', '.join(_CONFIG)}."]}
    _known("config", config, frozenset(_CONFIG), errors)
    _known("config.integration", config.get("integration", {}), _INTEGRATION, errors)
    lists = (("endpoints", template.endpoints, _ENDPOINT, MAX_ENDPOINTS), ("webhooks", template.webhooks, _WEBHOOK, MAX_WEBHOOKS))
    for place, rows, known, most in lists:
        if not isinstance(rows, list) or len(rows) > most or not all(isinstance(row, dict) for row in rows):
            errors[place] = [f"must be a list of at most {most} JSON objects."]
            continue
        for index, row in enumerate(rows):
            _known(f"{place}.{index}", row, known, errors)
    return errors


def _known(place: str, given: Mapping[str, Any], known: frozenset[str], errors: Errors) -> None:
    for name in given:
        if name not in known:
            errors[f"{place}.{str(name)[:60]}"] = [f"is not known here. Known: {', '.join(sorted(known))}."]


def _place_errors(template: IntegrationTemplate) -> Errors:
    """Check every string: placeholders name declared values, secrets stand only where they are encrypted, and none is written out."""
    declared, secrets, errors = properties(template.config), secret_names(template.config), Errors()
    for root, part in blueprints(template).items():
        for path, text in leaves(part, root):
            named = names_in(text)
            place = is_secret_place(path)
            if leftover(text):
                errors[path] = ["holds {{ that names no value; write {{ name }}."]
            elif unknown := [name for name in named if name not in declared]:
                errors[path] = [f"names {', '.join(unknown)}, which config.schema does not ask for."]
            elif place and not secrets & set(named):
                errors[path] = ["must be asked for: name a value that config.schema marks writeOnly. A template never holds a secret."]
            elif not place and (shown := sorted(secrets & set(named))):
                errors[path] = [f"would show the secret {', '.join(shown)}; secrets go into credentials and headers of webhooks only."]
            elif not place and redact.text(text) != text:
                errors[path] = ["looks like a secret; ask for it (writeOnly) and put it into the credentials."]
    for path, text in leaves(template.config.get("defaults", {}), "config.defaults"):
        if redact.text(text) != text:
            errors[path] = ["looks like a secret; a template never holds one."]
    return errors


def _trial_errors(template: IntegrationTemplate) -> Errors:
    """Try the template out with examples: what it makes must be what the services take."""
    made, errors = _filled(template, trial_values(template)), Errors()
    config: Values = {}
    try:
        draft = new_draft(cast("IntegrationValues", {**made.integration, "name": "Example", "type": template.type}))
        config = draft.config or {}
    except InvalidInput as error:
        errors |= {field if field == "type" else f"config.integration.{field}": sentences for field, sentences in error.fields.items()}
    return errors | endpoint_errors(template, made.endpoints) | webhook_errors(template, made.webhooks, config)


def trial_values(template: IntegrationTemplate) -> dict[str, Any]:
    """Return an acceptable value for everything that is asked for, to try a template out with.

    A template holds no secret, not even an example, and some must have a form: those are as the connector shows them.
    """
    values = examples(template.config)
    try:
        shown = connector_example(find(template.type))["credentials"]
    except InvalidInput:
        return values
    asked, credentials = properties(template.config), template.config.get("integration", {}).get("credentials", {})
    placed = credentials.items() if isinstance(credentials, dict) else ()
    names = {field: whole(text) for field, text in placed if isinstance(text, str) and isinstance(shown.get(field), str)}
    return values | {name: shown[field] for field, name in names.items() if name in asked and asked[name]["type"] == "string"}
