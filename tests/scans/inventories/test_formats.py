"""Lock files and SBOMs: each is known by what it holds, pins what it pins, and can't do worse than be refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput, TooLarge
from scans.inventories import reading
from scans.inventories.formats.base import Document
from scans.inventories.formats.detect import FORMATS, detect
from scans.inventories.packed import packed, unpacked
from tests.connectors.contract import fuzz, json_values
from tests.scans.inventories.samples import SAMPLES

pytestmark = pytest.mark.once


def test_each_format_is_recognised_and_yields_what_it_pins_and_nothing_else() -> None:
    read = {name: reading.read(path, data) for name, (path, data, _) in SAMPLES.items()}
    found = {name: {(one.ecosystem, one.name, one.version) for one in each.packages} for name, each in read.items()}
    assert found == {name: expected for name, (_, _, expected) in SAMPLES.items()}
    assert {each.format for each in read.values()} == set(FORMATS)
    assert not any("s3cret" in one.purl for one in read["cyclonedx"].packages)
    libssl = next(one for one in read["cyclonedx"].packages if one.name == "openssl")
    assert libssl.purl == "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&distro=debian-12.4&upstream=openssl"


def test_packages_are_stored_small_and_come_back_as_they_were() -> None:
    lock = {f"node_modules/@scope/package-{number}": {"version": f"{number}.0.{number % 7}"} for number in range(2000)}
    found = reading.read("package-lock.json", json.dumps({"lockfileVersion": 3, "packages": lock}).encode())
    data = packed(found.packages)
    assert len(data) < 20_000
    assert [one.manifest for one in unpacked(data, "a/b")] == ["a/b"] * 2000
    assert [(one.name, one.version) for one in unpacked(data, "")] == [(one.name, one.version) for one in found.packages]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("", b'{"hello": 1, "there": 2}', "an object with the names hello, there.*SPDX.*package-lock.json"),
        ("pyproject.toml", b'[project]\nname = "shop"\n', "TOML with the names project"),
        ("pom.xml", b"<project/>", "it is XML"),
        ("notes.txt", b"Dear all,\nhello.\n", "text of 3 lines.*manifest=requirements.txt"),
        ("", b'{"lockfileVersion": 3, "packages": {}}', "names no package with its version"),
        ("requirements.txt", b"django>=5\n", "names no package"),
        ("", b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}", "nested deeper"),
        ("", b'{"a": ', "begins like JSON and is none"),
        ("", b"\xff\xfe\x00", "no text in UTF-8"),
    ],
)
def test_what_is_not_read_is_refused_in_words(name: str, data: bytes, words: str) -> None:
    with pytest.raises(InvalidInput, match=f"(?s){words}"):
        reading.read(name, data)


def test_a_file_with_too_many_packages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_PACKAGES", 1)
    with pytest.raises(TooLarge, match="more than 1 packages"):
        reading.read(*SAMPLES["freeze"][:2])


def test_hostile_files_take_no_time_that_their_senders_choose() -> None:
    half = 500_000  # the square of it would be hours
    hostile = [
        ("", b"a" + b".a" * half + b" = 1"),
        ("", b"x = {a" + b".a" * half + b" = 1}"),
        ("", b'x = [{a = """\n""", b' + b".b" * half + b' = 1, c = "d"}]'),
        ("", b"a = " + b"." * 30 + b'"' + b'\\"' * half),
        ("", b"x = " + b"[" * half),
        ("requirements.txt", b"a" + b" " * half + b"!"),
        ("requirements.txt", b"a" * half),
        ("requirements.txt", b"\\\n" * half),
        ("yarn.lock", b"# yarn lockfile v1\n" + b"@" * half),
        ("", b"lockfileVersion: 9\npackages:\n  " + b":" * half),
        ("go.mod", b"module x\nrequire " + b"a " * half),
        ("", b"GEM\n  specs:\n    " + b"(" * half),
    ]
    for name, data in hostile:
        with pytest.raises((InvalidInput, TooLarge)):
            reading.read(name, data)


@fuzz
@given(data=st.data())
def test_files_that_hold_anything_are_refused_and_nothing_worse(data: Any) -> None:
    name = data.draw(st.sampled_from(sorted(SAMPLES)))
    path, sample, _ = SAMPLES[name]
    mutated = _mutated(data, sample)
    for each in (path, "", "requirements.txt", "Cargo.lock"):
        try:
            found = reading.read(each, mutated)
        except (InvalidInput, TooLarge):
            continue
        for one in found.packages:
            assert 0 < len(one.name) <= 300
            assert 0 < len(one.version) <= 200
            assert (one.name + one.version + one.purl).isprintable()
        assert unpacked(packed(found.packages), "") == found.packages
    document = Document(path, sample)
    assert detect(document) in FORMATS


def _mutated(data: Any, sample: bytes) -> bytes:
    """Return a sample with a value of its JSON replaced, or with bytes cut out and put in."""
    if data.draw(st.booleans()):
        try:
            value = json.loads(sample.removeprefix(b"\xef\xbb\xbf"))
        except ValueError:
            value = None
        if isinstance(value, dict):
            inner: Any = value
            while isinstance(inner, dict | list) and inner:
                key = data.draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
                if data.draw(st.booleans()) or not isinstance(inner[key], dict | list):
                    inner[key] = data.draw(json_values)
                    break
                inner = inner[key]
            return json.dumps(value, allow_nan=True).encode()
    begin = data.draw(st.integers(0, len(sample)))
    end = data.draw(st.integers(begin, len(sample)))
    return sample[:begin] + data.draw(st.binary(max_size=20)) + sample[end:]
