"""What the Snyk connector asks for, where its API is, and how it signs in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.db import models

from core.http.door import Auth
from integrations.auth import HeaderAuth
from integrations.contract.fields import Field, FieldKind
from integrations.contract.signin import ClientAuth, OAuthApp, OAuthFlow

VERSION = "2024-10-15"
"""The newest release of Snyk's lists of targets, projects and issues."""
_TOKEN = r"[\x21-\x7e]+"  # noqa: S105 - the form of a token


class Region(models.TextChoices):
    """Where an account lives; each region has accounts, tokens and data of its own."""

    US_01 = "us-01", "SNYK-US-01: app.snyk.io"
    US_02 = "us-02", "SNYK-US-02: app.us.snyk.io"
    EU_01 = "eu-01", "SNYK-EU-01: app.eu.snyk.io"
    AU_01 = "au-01", "SNYK-AU-01: app.au.snyk.io"
    OWN = "own", "another address"


class SignIn(models.TextChoices):
    """Ways to sign in."""

    TOKEN = "token", "API token, of a service account or a person"
    BEARER = "bearer", "OAuth access token that you renew yourself"
    OAUTH = "oauth", "OAuth service account: the portal renews its tokens"


class Match(models.TextChoices):
    """What of a target names the repository."""

    ANY = "any", "its URL or its display name"
    URL = "url", "its URL only"
    NAME = "name", "its display name only"


_HOSTS = {Region.US_01: "", Region.US_02: "us.", Region.EU_01: "eu.", Region.AU_01: "au."}
_WITH_TOKEN = (SignIn.TOKEN.value, SignIn.BEARER.value)

SNYK_FIELDS: tuple[Field, ...] = (
    Field("region", "Region", FieldKind.CHOICE, choices=tuple(Region.choices), default=Region.US_01.value,
          help="The address of Snyk's web page says which. A token of one region is not known in the others.",
          link="https://docs.snyk.io/snyk-data-and-governance/regional-hosting-and-data-residency"),
    Field("base_url", "Address of the API", FieldKind.URL, required=True, placeholder="https://api.acme.snyk.io",
          help="Without /rest or /v1 at its end.", only_if=("region", (Region.OWN.value,))),
    Field("org", "Organisation", required=True, max_length=100, pattern=r"[A-Za-z0-9][A-Za-z0-9._-]*", example="acme",
          help="Its id (at Snyk: Settings → General → Organization ID) or its slug, the word behind /org/ in the address of its pages."),
    Field("auth", "Sign-in", FieldKind.CHOICE, choices=tuple(SignIn.choices), default=SignIn.TOKEN.value,
          help="A service account is best: it belongs to nobody who may leave. Snyk's API needs its Enterprise plan."),
    Field("token", "Token", secret=True, required=True, max_length=8000, pattern=_TOKEN, example="00000000-0000-0000-0000-000000000000",
          help="Of a service account: Settings → Service accounts, role Org Viewer. Of a person: Account settings → General → Auth Token.",
          link="https://docs.snyk.io/snyk-api/authentication-for-api", only_if=("auth", _WITH_TOKEN)),
    Field("client_id", "Client id", required=True, max_length=200, pattern=_TOKEN, example="b3f7c2a0-5d5e-4a6f-9c1b-2f3d4e5a6b7c",
          help="Shown when the service account was made: Settings → Service accounts, type OAuth 2.0 client credentials.",
          only_if=("auth", (SignIn.OAUTH.value,))),
    Field("client_secret", "Client secret", secret=True, required=True, max_length=2000, pattern=_TOKEN, example="a-client-secret",
          help="Shown once, together with the client id.", only_if=("auth", (SignIn.OAUTH.value,))),
    Field("api_version", "Version of the API", default=VERSION, max_length=30,
          pattern=r"20[0-9]{2}-[0-9]{2}-[0-9]{2}(~(beta|experimental))?",
          help="A date. Leave it unless the connection test says that this version ends."),
    Field("match", "How a repository is found", FieldKind.CHOICE, choices=tuple(Match.choices), default=Match.ANY.value,
          help="What of Snyk's target has to be owner/name; capitals don't count."),
    Field("targets", "Repositories with another name at Snyk", FieldKind.MAPPING, placeholder="acme/shop: Web shop",
          help="owner/name, and what its target is called at Snyk: its display name, URL or id."),
    Field("read_ignores", "Read why issues are ignored", FieldKind.BOOLEAN, default=True,
          help="Takes one more call for each project with ignored issues, to Snyk's older API. What is ignored is known without it."),
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where an account is reached: without slashes at the ends."""

    root: str
    """/rest and /v1 stand behind it."""
    app: str
    """The pages for people, "" where they are not known."""
    words: str
    """How a sentence calls it."""


def place(config: Mapping[str, Any]) -> Place:
    """Return where the account of a checked configuration is."""
    if config["region"] != Region.OWN:
        part = _HOSTS[Region(config["region"])]
        return Place(f"https://api.{part}snyk.io", f"https://app.{part}snyk.io", f"the region SNYK-{config['region'].upper()}")
    root = re.sub(r"/+(?:rest|v1)$", "", str(config["base_url"]).rstrip("/")).rstrip("/")
    host = urlsplit(root).netloc
    return Place(root, f"https://app.{host[4:]}" if host.startswith("api.") else "", host)


def sign_in(config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth | OAuthApp:
    """Return what checked values say about signing in; Snyk writes both words in lower case."""
    if config["auth"] != SignIn.OAUTH:
        return HeaderAuth("Authorization", credentials["token"], "bearer" if config["auth"] == SignIn.BEARER else "token")
    root = place(config).root
    parts = urlsplit(root)
    return OAuthApp(
        flow=OAuthFlow.CLIENT_CREDENTIALS,
        token_url=f"{root}/oauth2/token",
        client_id=config["client_id"],
        client_secret=credentials["client_secret"],
        place=f"{parts.scheme}://{parts.netloc}",
        client_auth=ClientAuth.POST,
    )


def field_errors(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with the values beyond the fields' own rules."""
    errors: dict[str, list[str]] = {}
    url = config.get("base_url", "")
    if "?" in url or "#" in url:
        errors["base_url"] = ["must be the plain address of the API, without ? or #."]
    elif (urlsplit(url).hostname or "").startswith("app."):
        errors["base_url"] = ["is the address of Snyk's pages; its API has api. in place of app."]
    if wrong := [name for name in config.get("targets", {}) if "/" not in name]:
        errors["targets"] = [f"{wrong[0][:100]} is no owner/name of a repository."]
    return errors
