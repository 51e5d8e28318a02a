"""What GitHub knows of a repository's security, and what it means that some of it can't be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.db import models

from core.http.door import BadAnswer, SignInFailed
from integrations.connectors.github.client import NotPermitted, NotThere, message
from integrations.contract.scans import Problem


class Product(models.TextChoices):
    """What is read of a repository."""

    DEPENDABOT = "dependabot", "Dependabot alerts"
    CODE = "code_scanning", "Code scanning alerts"
    SECRETS = "secret_scanning", "Secret scanning alerts"
    ADVISORIES = "advisories", "Repository security advisories"
    PACKAGES = "package_advisories", "Global security advisories of the packages used"


BY_DEFAULT = (Product.DEPENDABOT, Product.CODE, Product.SECRETS, Product.ADVISORIES)
"""What GitHub itself keeps for each repository."""
ON_DEFAULT_BRANCH = frozenset({Product.DEPENDABOT, Product.SECRETS, Product.ADVISORIES})
"""What GitHub knows of the default branch only."""
_SCOPES = {Product.ADVISORIES: "repo or repository_advisories:read"}
_OFF = re.compile(r"\bdisabled\b|\bnot (?:enabled|available)\b|\bno analysis found\b|\bno default branch\b", re.IGNORECASE)
_NOT_BOUGHT = re.compile(r"advanced security|(?:code|secret) (?:security|protection|scanning) must be enabled", re.IGNORECASE)


def products_of(config: Mapping[str, Any]) -> frozenset[Product]:
    """Return what an integration reads."""
    return frozenset(Product(word) for word in config.get("products", BY_DEFAULT))


def refusal(product: Product, full_name: str, error: BadAnswer | SignInFailed, *, told: bool) -> Problem | None:
    """Return what to say of a product that can't be read, None where it is merely off.

    `told` says that some of it was read already: then what is known of it is not whole, and the scan must close nothing.
    """
    if told:
        return Problem(product.label, f"The rest could not be read, and nothing is taken for fixed. {error.message}")
    sentence = _sentence(product, full_name, error)
    return Problem(product.label, sentence, elsewhere=True) if sentence else None


def _sentence(product: Product, full_name: str, error: BadAnswer | SignInFailed) -> str:
    leave_out = f"or take {product.label} out of what this integration reads."
    if isinstance(error, NotPermitted):
        said = message(error)
        if _NOT_BOUGHT.search(said):
            return (
                f"{product.label} of {full_name} can't be read: GitHub Advanced Security is off there. Turn it on in the repository's"
                f" settings, {leave_out} {_github_says(error)}"
            )
        return "" if _OFF.search(said) else f"{error.message} {_grant(product)}, {leave_out}"
    if isinstance(error, NotThere) and error.status_code == 404:
        if not _lacks_scope(error.headers):
            return ""
        return f"GitHub hides the {product.label} of {full_name} from a token of these scopes (404). {_grant(product)}, {leave_out}"
    return error.message


def _grant(product: Product) -> str:
    scope = _SCOPES.get(product, "security_events")
    return f"Give the token or app the repository permission “{product.label}: read” (a classic token the scope {scope})"


def _github_says(error: NotPermitted) -> str:
    """Return the part of the sentence that quotes GitHub, masked as it is there."""
    _, found, quoted = error.message.rpartition("GitHub says: ")
    return f"{found}{quoted}" if found else ""


def _lacks_scope(headers: Mapping[str, str]) -> bool:
    """Say whether a classic token has none of the scopes that would do: only of such a token GitHub names them."""
    has, needed = headers.get("X-OAuth-Scopes"), _words(headers.get("X-Accepted-OAuth-Scopes", ""))
    return has is not None and bool(needed) and not (needed | {"public_repo"}) & _words(has)


def _words(listed: str) -> set[str]:
    return {word.strip() for word in listed[:2000].split(",") if word.strip()}
