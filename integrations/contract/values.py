"""Checks the values of declared fields: kinds, required ones, choices, ranges, patterns, conditions. Nothing but InvalidInput is raised."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from core.errors import InvalidInput
from integrations.contract.connector import Connector
from integrations.contract.fields import Field, FieldKind
from integrations.contract.inbound import Receiver
from integrations.contract.kinds import MISSING, checked_value
from integrations.contract.outbound import Destination

CONFIG, CREDENTIALS, DESTINATION = "config", "credentials", "destination"
Values = dict[str, Any]


def validate_values(
    connector: type[Connector],
    config: object,
    credentials: object,
    *,
    stored_config: Mapping[str, Any] | None = None,
    stored_credentials: Mapping[str, Any] | None = None,
    partial: bool = False,
) -> tuple[Values, Values]:
    """Return config and credentials as they are stored: whole, with defaults, without what does not apply.

    Credentials that are left out keep the stored ones. What stands in `config` as in `stored_config`, but does not apply any
    more, is dropped; sent anew it is refused. With `partial`, for blueprints, required fields may be missing and no default is
    filled in. Raises one InvalidInput that names every wrong field as `config.<field>` or `credentials.<field>`.
    """
    errors: dict[str, list[str]] = {}
    open_fields = [field for field in connector.fields if not field.secret]
    secret_fields = [field for field in connector.fields if field.secret]
    given_config = _object(CONFIG, config, errors)
    given = _object(CREDENTIALS, credentials, errors)
    _raise(errors)
    _refuse_unknown(CONFIG, given_config, open_fields, secret_fields, CREDENTIALS, errors)
    _refuse_unknown(CREDENTIALS, given, secret_fields, open_fields, CONFIG, errors)
    clean_config = _checked(CONFIG, open_fields, _current(open_fields, given_config, stored_config), {}, errors, partial=partial)
    kept = {name: value for name, value in (stored_credentials or {}).items() if name not in given}
    applying = {field.name for field in secret_fields if partial or field.applies(clean_config)}
    merged = {name: value for name, value in kept.items() if name in applying} | given
    clean_credentials = _checked(CREDENTIALS, secret_fields, merged, clean_config, errors, partial=partial)
    if not errors and not partial:
        places = {field.name: f"{CREDENTIALS if field.secret else CONFIG}.{field.name}" for field in connector.fields}
        _collect(errors, places, CONFIG, lambda: connector.validate(clean_config, clean_credentials))
    _raise(errors)
    return clean_config, clean_credentials


def validate_options(
    connector: type[Connector], options: object, *, config: Mapping[str, Any] | None = None, partial: bool = False
) -> Values:
    """Return the options of a connector's destination as they are stored; `config` is the integration's, for conditions.

    Raises InvalidInput that names `destination.<field>`.
    """
    if not issubclass(connector, Destination):
        raise InvalidInput.of(DESTINATION, f"{connector.title} takes no events; choose an integration that does.", code="no_destination")
    errors: dict[str, list[str]] = {}
    given = _object(DESTINATION, options, errors)
    _raise(errors)
    _refuse_unknown(DESTINATION, given, connector.destination_fields, (), "", errors)
    clean = _checked(DESTINATION, connector.destination_fields, given, config or {}, errors, partial=partial)
    if not errors and not partial:
        places = {field.name: f"{DESTINATION}.{field.name}" for field in connector.destination_fields}
        _collect(errors, places, DESTINATION, lambda: connector.validate_options(clean, config or {}))
    _raise(errors)
    return clean


def validate_source(receiver: type[Receiver], config: object) -> Values:
    """Return the values of a receiver's source fields as they are stored. Raises InvalidInput that names `config.<field>`."""
    errors: dict[str, list[str]] = {}
    given = _object(CONFIG, config, errors)
    _raise(errors)
    _refuse_unknown(CONFIG, given, receiver.source_fields, (), "", errors)
    clean = _checked(CONFIG, receiver.source_fields, given, {}, errors, partial=False)
    _raise(errors)
    return clean


def _object(place: str, value: object, errors: dict[str, list[str]]) -> Values:
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return dict(value)
    errors[place] = ["must be a JSON object with the connector's fields; GET /api/v1/connectors lists them."]
    return {}


def _current(fields: Sequence[Field], given: Values, stored: Mapping[str, Any] | None) -> Values:
    """Return the given values without stored ones that came along, and whose condition does not hold any more."""
    current: Values = {}
    for field in fields:
        came_along = stored is not None and field.name in stored and given.get(field.name) == stored[field.name]
        present = current if field.only_if is None else {**{other.name: other.default for other in fields}, **current}
        if field.name in given and (not came_along or field.applies(present)):
            current[field.name] = given[field.name]
    return current


def _refuse_unknown(
    place: str, given: Values, fields: Iterable[Field], others: Iterable[Field], other_place: str, errors: dict[str, list[str]]
) -> None:
    known = [field.name for field in fields]
    for name in given:
        if name in known:
            continue
        if any(field.name == name for field in others):
            sentence = f"belongs into {other_place}."
        else:
            sentence = f"is not a known field. Known here: {', '.join(known)}." if known else "is not a known field; there are none here."
        errors[f"{place}.{ascii(name)[1:-1][:100]}"] = [sentence]


def _checked(
    place: str, fields: Iterable[Field], given: Values, outer: Mapping[str, Any], errors: dict[str, list[str]], *, partial: bool
) -> Values:
    """Return the values of fields; `outer` holds those of the configuration that conditions may name."""
    clean: Values = {}
    for field in fields:
        path = f"{place}.{field.name}"
        if field.only_if and {f"{place}.{field.only_if[0]}", f"{CONFIG}.{field.only_if[0]}"} & set(errors):
            continue  # whether it applies is not known until that is mended
        if not field.applies({**outer, **clean}):
            if field.name in given and not partial:
                errors[path] = [f"is only used if {_condition(field)}; leave it out."]
                continue
            if not partial:
                continue
        try:
            value = checked_value(field, given.get(field.name, MISSING), path)
        except InvalidInput as error:
            errors.setdefault(path, []).extend(error.fields.get(path, [error.message]))
            continue
        if value is not MISSING:
            clean[field.name] = value
        elif partial:
            continue
        elif field.required and field.default is None:
            errors[path] = ["is required." if field.only_if is None else f"is required if {_condition(field)}."]
        elif field.default is not None:
            clean[field.name] = _fresh(field)
    return clean


def _fresh(field: Field) -> Any:
    """Return the default in the form in which it is stored, which nobody else holds."""
    if field.kind == FieldKind.WORDS:
        return list(field.default)
    return dict(field.default) if field.kind == FieldKind.MAPPING else field.default


def _condition(field: Field) -> str:
    name, values = field.only_if or ("", ())
    return f"{name} is {' or '.join(values)}"


def _collect(errors: dict[str, list[str]], places: Mapping[str, str], otherwise: str, check: Callable[[], Mapping[str, list[str]]]) -> None:
    """Add what a connector's own check finds, by the full names of its fields."""
    try:
        found = check()
    except InvalidInput as error:
        found = error.fields or {otherwise: [error.message]}
    for name, sentences in found.items():
        errors.setdefault(places.get(name, name), []).extend(sentences)


def _raise(errors: dict[str, list[str]]) -> None:
    if errors:
        raise InvalidInput(" ".join(f"{field}: {sentences[0]}" for field, sentences in errors.items()), fields=errors)
