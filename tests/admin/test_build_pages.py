from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from builds.importing import files, work
from builds.models import Build, BuildImport
from core.work import run_due
from tests.builds.kit import row, store
from tests.factories import owner_of

pytestmark = [pytest.mark.django_db, pytest.mark.once]
TEXT = b"tr_build_id,gh_project_name,tr_status\n1,acme/shop,passed\n2,acme/shop,\n"
LIST, ADD = "admin:builds_build_changelist", "admin:builds_buildimport_add"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path


def found(browser: Client, **query: str) -> list[str]:
    answer = browser.get(reverse(LIST), query)
    assert answer.status_code == 200
    return [build.build_id for build in answer.context["cl"].result_list]


def test_builds_are_found_by_project_commit_and_id(browser: Client) -> None:
    store(row("1", commit="abcdef1234"), row("2", "failure", project="acme/other"), row("3", source="jenkins"), publish=False)
    assert found(browser) == ["3", "2", "1"]
    assert (found(browser, q="acme/other"), found(browser, q="abcdef1234")) == (["2"], ["1"])
    assert found(browser, q=str(Build.objects.get(build_id="3").pk)) == ["3"]
    assert (found(browser, q="nonsense"), found(browser, status="failure"), found(browser, source="jenkins")) == ([], ["2"], ["3"])


def test_a_build_links_to_where_it_ran(browser: Client) -> None:
    store(row("1", url="https://ci.example.com/1", conclusion="passed", extra={"gh_team_size": "3"}), publish=False)
    page = browser.get(reverse("admin:builds_build_change", args=[Build.objects.get().pk])).content.decode()
    assert 'href="https://ci.example.com/1"' in page
    assert "gh_team_size" in page
    assert "1 min 0 s" in browser.get(reverse(LIST)).content.decode()


def test_a_file_is_uploaded_read_and_shown(alice: User, log_in: Callable[[User], Client]) -> None:
    client = log_in(alice)
    answer = client.post(reverse(ADD), {"file": SimpleUploadedFile("builds.csv.gz", gzip.compress(TEXT))})
    made = BuildImport.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, reverse("admin:builds_buildimport_change", args=[made.pk]))
    live = reverse("admin:builds_buildimport_live", args=[made.pk])
    assert b"hx-get" in client.get(live).content
    run_due(BuildImport, work.work_off)
    page = client.get(live).content.decode()
    assert "hx-get" not in page
    assert ("tr_status" in page, "is empty." in page, "100 %" in page) == (True, True, True)
    assert Build.objects.get().owner_id == owner_of(alice).id


@pytest.mark.parametrize("body", [b"", b"a,b\n", b"\x1f\x8bbroken"])
def test_a_wrong_file_is_explained_beside_the_field(browser: Client, body: bytes) -> None:
    answer = browser.post(reverse(ADD), {"file": SimpleUploadedFile("x.csv", body)})
    assert answer.status_code == 200
    assert len(answer.context["form"].errors["file"]) == 1
    assert list(files.folder().iterdir()) == []
    assert browser.post(reverse(ADD)).context["form"].errors["file"] == ["This field is required."]


def test_an_auditor_starts_and_cancels_nothing(auditor: User, alice: User, browser: Client, log_in: Callable[[User], Client]) -> None:
    made = BuildImport.objects.create(kind="travistorrent", owner=owner_of(alice))
    client, cancel = log_in(auditor), reverse("admin:builds_buildimport_do", args=[made.pk, "cancel"])
    assert client.post(reverse(ADD), {"file": SimpleUploadedFile("x.csv", TEXT)}).status_code == 403
    assert client.post(cancel).status_code in (302, 403)
    assert BuildImport.objects.get().status == "running"
    assert browser.post(cancel).status_code == 302
    assert BuildImport.objects.get().status == "cancelled"
