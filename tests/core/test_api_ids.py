"""An id in a path is written in one way."""

from __future__ import annotations

import uuid

import pytest

from tests.access.keys import client_of, make_key

pytestmark = pytest.mark.django_db
PATH = "/api/v1/api-keys"
ODD = ["{%s}", "urn:uuid:%s", "%s%%0A", "%%20%s", "{%s", "%s}"]


@pytest.mark.parametrize("form", [*ODD, "x", "0"])
@pytest.mark.parametrize(
    ("method", "rest"), [("get", ""), ("patch", ""), ("put", ""), ("delete", ""), ("post", "/rotate"), ("get", "/usage")]
)
def test_another_form_is_a_404(form: str, method: str, rest: str) -> None:
    key, _ = make_key()
    client = client_of(None)
    answer = getattr(client, method)(f"{PATH}/{form % key.id if '%' in form else form}{rest}", None if method == "get" else {"name": "x"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    key.refresh_from_db()
    assert (key.name, key.revoked_at, key.successor_id) == ("test", None, None)


def test_hexadecimal_alone_is_another_form() -> None:
    key, _ = make_key()
    assert client_of(None).get(f"{PATH}/{key.id.hex}").status_code == 404


def test_case_does_not_matter() -> None:
    key, _ = make_key()
    assert client_of(None).get(f"{PATH}/{str(key.id).upper()}").json()["id"] == str(key.id)
    assert client_of(None).get(f"{PATH}/{uuid.uuid4()}").status_code == 404
