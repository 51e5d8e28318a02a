"""The values of an inbound source: what may be set, and the rules for each."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from access.addresses import parse_cidrs
from core.errors import InvalidInput, NotFound
from core.signing import new_secret
from integrations.contract.addresses import PublishedAddresses
from integrations.contract.backfill import Backfill
from integrations.contract.inbound import Receiver
from integrations.contract.schema import validate_source
from integrations.models import Integration
from webhooks.inbound.selectors import find_receiver, receivers

MAX_NAME, MAX_CIDRS, MAX_SECRET = 100, 100, 5000
MAX_SILENCE = 90 * 24 * 3600


class SourceValues(TypedDict, total=False):
    """What a caller may set; a key that is absent keeps the value (or takes the default)."""

    name: str
    provider: str
    config: dict[str, Any]
    allowed_cidrs: list[str]
    provider_addresses: bool
    integration_id: uuid.UUID | None
    is_default: bool
    active: bool
    validate_schema: bool
    silence_seconds: int | None
    owner_id: uuid.UUID | None


def checked(values: Mapping[str, Any], receiver: type[Receiver]) -> dict[str, Any]:
    """Return the values in the form they are stored in; raises one InvalidInput that names every wrong field."""
    result, errors = dict(values), dict[str, list[str]]()
    checks: dict[str, Callable[[Any], Any]] = {
        "name": _name, "config": lambda value: validate_source(receiver, value), "allowed_cidrs": _cidrs, "silence_seconds": _silence,
    }  # fmt: skip
    if values.get("provider_addresses") and not issubclass(receiver, PublishedAddresses):
        errors["provider_addresses"] = [f"{receiver.title} publishes no addresses; name its networks in allowed_cidrs."]
    for field in checks.keys() & values.keys():
        try:
            result[field] = checks[field](values[field])
        except InvalidInput as error:
            errors |= error.fields
    if errors:
        raise InvalidInput(" ".join(f"{field}: {sentences[0]}" for field, sentences in sorted(errors.items())), fields=errors)
    return result


def integration_for(integration_id: uuid.UUID | None, provider: str, owner_id: uuid.UUID | None) -> None:
    """Check the integration through which missed deliveries are requested: it is the provider's, and the source's owner's.

    Whoever may change a source sees what its owner has. Raises InvalidInput.
    """
    if integration_id is None:
        return
    if not issubclass(receiver_of(provider), Backfill):
        raise InvalidInput.of("integration", f"is of no use: {provider} can't be asked for missed deliveries.")
    owners = list(Integration.objects.filter(id=integration_id, type=provider).values_list("owner_id", flat=True))
    if owners != [owner_id]:
        raise InvalidInput.of("integration", f"{integration_id} is no integration of the type {provider} of the source's owner.")


def receiver_of(provider: object) -> type[Receiver]:
    """Return the receiver of a provider; raises InvalidInput on `provider`."""
    try:
        return find_receiver(str(provider))
    except NotFound as error:
        known = ", ".join(receiver.key for receiver in receivers())
        raise InvalidInput.of("provider", f"is none whose webhooks are received; there are {known}.", code="unknown_provider") from error


def secret_for(receiver: type[Receiver], given: str | None, config: Mapping[str, Any]) -> str | None:
    """Return the secret of a new source or rotation: the given one, else a generated one where the platform takes ours."""
    if given is not None:
        return check_secret(given, receiver, config)
    if not receiver.needs_secret:
        return None
    if receiver.secret_is_given:
        raise InvalidInput.of("secret", f"must be given: {receiver.title} makes it, and shows it where its webhooks are set up.")
    return new_secret()


def check_secret(text: str, receiver: type[Receiver], config: Mapping[str, Any]) -> str:
    """Return a secret that can verify requests to a source with this config; raises InvalidInput, which never shows it."""
    if not text or len(text) > MAX_SECRET or "\0" in text:
        raise InvalidInput.of("secret", f"must be a text of 1 to {MAX_SECRET} characters.")
    if text != text.strip() and "-----BEGIN" not in text:
        raise InvalidInput.of("secret", "begins or ends with white space; copy it without.")
    if problem := receiver.secret_problem(text, config):
        raise InvalidInput.of("secret", problem)
    return text


def _name(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > MAX_NAME or not text.isprintable():
        raise InvalidInput.of("name", f"must be a text of 1 to {MAX_NAME} printable characters.")
    return text


def _cidrs(value: object) -> list[str]:
    if not isinstance(value, list) or len(value) > MAX_CIDRS or not all(isinstance(item, str) for item in value):
        raise InvalidInput.of("allowed_cidrs", f"must be a list of at most {MAX_CIDRS} networks.")
    return parse_cidrs(value)


def _silence(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SILENCE:
        raise InvalidInput.of("silence_seconds", f"must be a whole number from 0 (never) to {MAX_SILENCE}, or null to learn it.")
    return value
