"""An integration as it would be with some values: checked, but not stored."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import Conflict, InvalidInput
from core.fields import DecryptError
from integrations.contract.connector import Connector
from integrations.contract.schema import validate_values
from integrations.contract.values import CONFIG, CREDENTIALS
from integrations.models import Integration
from integrations.registry import find, only_receives
from integrations.services.binding import moved_field
from integrations.services.values import IntegrationValues, check_plain, summary

REQUIRED = ("name", "type")
Values = dict[str, Any]


@dataclass(frozen=True)
class Draft:
    """Checked values. `plain` are columns, `config` and `credentials` whole, or None where they stay as they are.

    `changed_secrets` names the credentials that differ from the stored ones; `moved` the field of the configuration by which the
    integration now leads elsewhere.
    """

    connector: type[Connector]
    plain: Mapping[str, Any]
    config: Values | None = None
    credentials: Values | None = dataclasses.field(default=None, repr=False)
    changed_secrets: tuple[str, ...] = ()
    moved: str = ""

    def columns(self) -> Values:
        """Return what to store, without the credentials."""
        return dict(self.plain) | ({} if self.config is None else {"config": self.config})


def new_draft(values: IntegrationValues) -> Draft:
    """Return the checked values of a new integration. Raises one InvalidInput that names every wrong field."""
    missing = {field: ["must be given."] for field in REQUIRED if field not in values}
    if "type" in missing:
        _raise(missing)
    connector = find(_key(values["type"]))
    if only_receives(connector):
        sentence = f"{connector.title} only sends webhooks here; make an inbound source instead (POST /api/v1/inbound-sources)."
        raise InvalidInput.of("type", sentence, code="only_receives")
    plain, errors = check_plain(values)
    errors |= missing
    config, credentials = _validated(connector, values.get("config", {}), _given(values.get("credentials", {})), errors)
    defaults = {"type": connector.key, "category": connector.categories[0].value}
    return Draft(connector, defaults | plain, config, credentials, tuple(credentials))


def changed_draft(integration: Integration, values: IntegrationValues, *, replace: bool = False) -> Draft:
    """Return the checked changes of a stored integration; with `replace` its configuration is given whole, else only in part.

    Raises one InvalidInput that names every wrong field, and Conflict where credentials are needed that can't be decrypted.
    """
    connector = find(integration.type)
    plain, errors = check_plain(values)
    _stays(integration, values, errors)
    given = _given(values.get("credentials", {}))
    if "config" not in values and not given:
        _raise(errors)
        return Draft(connector, plain)
    config: Any = values.get("config", {})
    if not replace and isinstance(config, dict):
        config = _merged(connector, integration.config, config)
    moved = moved_field(connector, integration.config, config) if isinstance(config, dict) else ""
    stored = stored_credentials(integration, given)
    _entered_again(connector, moved, config, stored, given, errors)
    config, credentials = _validated(connector, config, given, errors, integration.config, {} if moved else stored)
    changed = tuple(name for name in {**stored, **credentials} if stored.get(name) != credentials.get(name))
    return Draft(connector, plain, config, credentials if changed else None, changed, moved)


def candidate(draft: Draft, stored: Integration | None = None) -> Integration:
    """Return the integration that a draft describes, not stored: for trying it out."""
    row = Integration() if stored is None else copy.copy(stored)
    if stored is not None:
        row._state = copy.copy(stored._state)
    row._state.adding = True
    for name, value in draft.columns().items():
        setattr(row, name, value)
    if draft.credentials is not None:
        row.credentials = draft.credentials  # type: ignore[assignment]  # the field's value
    return row


def stored_credentials(integration: Integration, given: Mapping[str, Any] = {}) -> Values:
    """Return the stored credentials; none where they can't be decrypted, and all of them are given anew.

    Raises Conflict (code unreadable_secret) where they can't be decrypted and are needed.
    """
    try:
        found: Any = integration.credentials
        return dict(found or {})
    except DecryptError as error:
        if given:
            return {}
        raise Conflict(f"{error} Or enter all credentials of this integration again.", code="unreadable_secret") from error


def _given(credentials: Any) -> Any:
    """Return the credentials without those that are sent back as they were shown."""
    if not isinstance(credentials, dict):
        return credentials
    return {name: value for name, value in credentials.items() if value not in ({"set": True}, {"set": False})}


def _merged(connector: type[Connector], stored: Values, given: Values) -> Values:
    merged = {name: value for name, value in ({**stored, **given}).items() if value is not None}
    # what only went with the former choices goes with them
    for field in connector.fields:
        if field.name in merged and field.name not in given and not field.applies(merged):
            del merged[field.name]
    return merged


def _entered_again(connector: type[Connector], moved: str, config: Any, stored: Values, given: Any, errors: dict[str, list[str]]) -> None:
    if not moved or not isinstance(given, dict):
        return
    for field in connector.fields:
        if field.secret and field.name in stored and field.name not in given and field.applies(config):
            errors[f"{CREDENTIALS}.{field.name}"] = [
                f"must be entered again, because {CONFIG}.{moved} changed: stored credentials are never sent to another place."
            ]


def _stays(integration: Integration, values: IntegrationValues, errors: dict[str, list[str]]) -> None:
    if values.get("type", integration.type) != integration.type:
        errors["type"] = ["can't be changed; create an integration of the other type."]
    if values.get("owner_id", integration.owner_id) != integration.owner_id:  # its log says whose it is, row by row
        errors["owner"] = ["can't be changed; create an integration for the other owner."]


def _validated(
    connector: type[Connector],
    config: Any,
    credentials: Any,
    errors: dict[str, list[str]],
    stored_config: Values | None = None,
    stored_credentials: Values | None = None,
) -> tuple[Values, Values]:
    found: tuple[Values, Values] = {}, {}
    try:
        found = validate_values(connector, config, credentials, stored_config=stored_config, stored_credentials=stored_credentials)
    except InvalidInput as error:
        errors |= {field: sentences for field, sentences in error.fields.items() if field not in errors}
    _raise(errors)
    return found


def _raise(errors: dict[str, list[str]]) -> None:
    if errors:
        raise InvalidInput(summary(errors), fields=errors)


def _key(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidInput.of("type", "must be the key of a connector; GET /api/v1/connectors lists them.")
    return value
