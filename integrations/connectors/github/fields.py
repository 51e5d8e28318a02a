"""What the GitHub connector asks for, and how it signs in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.db import models

from core.http.door import Auth, NoAuth
from integrations.auth import HeaderAuth
from integrations.connectors.github.app import AppExchange, key_error
from integrations.connectors.github.products import BY_DEFAULT, Product
from integrations.contract.fields import Field, FieldKind
from integrations.contract.signin import OAuthApp, OAuthFlow

PUBLIC_API = "https://api.github.com"


class SignIn(models.TextChoices):
    """Ways to sign in."""

    TOKEN = "token", "Token"
    APP = "app", "GitHub App"
    NONE = "none", "No credentials: public repositories, 60 calls an hour"


GITHUB_FIELDS: tuple[Field, ...] = (
    Field("api_url", "Address of the API", FieldKind.URL, default=f"{PUBLIC_API}/",
          help="For GitHub Enterprise Server: https://<host>/api/v3."),
    Field("auth", "Sign-in", FieldKind.CHOICE, choices=tuple(SignIn.choices), default=SignIn.TOKEN.value,
          help="An app is best for a whole organization: it belongs to nobody who may leave, and has a higher limit."),
    Field("token", "Token", secret=True, required=True, max_length=1000, pattern=r"[\x21-\x7e]+", example="github_pat_example",
          help="Fine-grained or classic. For builds it needs the repository permission Actions: read; for findings those named below.",
          link="https://github.com/settings/personal-access-tokens", only_if=("auth", (SignIn.TOKEN.value,))),
    Field("app_id", "App id", required=True, max_length=40, pattern=r"[A-Za-z0-9.]+", example="123456",
          help="App ID or client ID, on the app's page.", link="https://github.com/settings/apps",
          only_if=("auth", (SignIn.APP.value,))),
    Field("installation_id", "Installation id", required=True, max_length=20, pattern="[0-9]+", example="7654321",
          help="The number at the end of the address of the installation's settings.",
          link="https://github.com/settings/installations", only_if=("auth", (SignIn.APP.value,))),
    Field("private_key", "Private key", FieldKind.MULTILINE, secret=True, required=True, max_length=10_000,
          help="The whole .pem file that the app's page gave, with its first and last line.",
          only_if=("auth", (SignIn.APP.value,))),
    Field("products", "Findings to read", FieldKind.WORDS, choices=tuple(Product.choices),
          default=tuple(product.value for product in BY_DEFAULT),
          help="Each takes the repository permission of its name, read. What is off at GitHub is passed over. Code scanning is known for"
          " every branch, the others for the default branch. Leave code scanning out where your CI sends the same SARIF here: findings"
          " would be listed twice. The global advisories take no permission: GitHub's database is asked about the packages that a"
          " repository is known to use, which is meant for repositories without Dependabot."),
)  # fmt: skip

SOURCE_FIELDS: tuple[Field, ...] = (
    Field("hook_of", "Repository or organization of the webhook", max_length=200, placeholder="acme/shop",
          pattern=r"[A-Za-z0-9_-]{1,100}(/[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*)?",
          help="Where the webhook was made: needed to have missed deliveries sent again."),
    Field("hook_id", "Id of the webhook", FieldKind.INTEGER, low=1, high=2**53, example=123456789,
          help="The number in the address of the webhook's page at GitHub. Left out, it is found by the source's address."),
)  # fmt: skip


def base_url(config: Mapping[str, Any]) -> str:
    """Return the address of the API without a slash at its end."""
    return str(config["api_url"]).rstrip("/")


def sign_in(config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth | OAuthApp:
    """Return what checked values say about signing in."""
    if config["auth"] == SignIn.TOKEN:
        return HeaderAuth("Authorization", credentials["token"], "Bearer")
    if config["auth"] == SignIn.NONE:
        return NoAuth()
    base = base_url(config)
    parts = urlsplit(base)
    return OAuthApp(
        flow=OAuthFlow.CLIENT_CREDENTIALS,
        token_url=f"{base}/app/installations/{config['installation_id']}/access_tokens",
        client_id=config["app_id"],
        client_secret=credentials["private_key"],
        place=f"{parts.scheme}://{parts.netloc}",
        exchange=AppExchange(config["app_id"], credentials["private_key"]),
    )


def field_errors(config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with the values beyond the fields' own rules."""
    errors: dict[str, list[str]] = {}
    if "?" in config["api_url"] or "#" in config["api_url"]:
        errors["api_url"] = ["must be the plain address of the API, without ? or #."]
    elif urlsplit(config["api_url"]).hostname in ("github.com", "www.github.com"):
        errors["api_url"] = [f"is GitHub's web site. Its API is at {PUBLIC_API}."]
    if config["auth"] == SignIn.APP and (sentence := key_error(credentials["private_key"])):
        errors["private_key"] = [sentence]
    return errors
