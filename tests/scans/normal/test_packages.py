from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.packages.ecosystems import ecosystem
from scans.normal import purls
from scans.normal.packages import package


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("npm yarn pnpm node-pkg NPM js", "npm"),
        ("PyPI pip pipenv poetry python-pkg python uv", "pypi"),
        ("Maven gradle sbt pom jar java-archive", "maven"),
        ("Go gomod golang gobinary gomodules go-module", "golang"),
        ("RubyGems gem bundler rubygems gemspec", "gem"),
        ("NuGet dotnet-core NUGET", "nuget"),
        ("Packagist composer php-composer", "composer"),
        ("crates.io cargo rust rustbinary rust-crate", "cargo"),
        ("Hex erlang", "hex"),
        ("pub dart-pub", "pub"),
        ("swift SwiftURL", "swift"),
        ("actions github-action", "githubactions"),
        ("deb debian Ubuntu", "deb"),
        ("rpm redhat centos rocky", "rpm"),
        ("apk alpine wolfi", "apk"),
    ],
)
def test_words_of_ecosystems(words: str, expected: str) -> None:
    assert {ecosystem(word)[0] for word in words.split()} == {expected}


def test_words_of_distributions() -> None:
    assert ecosystem("Debian:11") == ("deb", "debian", "11")
    assert ecosystem("Alpine:v3.18") == ("apk", "alpine", "v3.18")
    assert ecosystem("Rocky Linux:8") == ("rpm", "rocky", "8")
    assert ecosystem("SUSE Linux Enterprise Server") == ("rpm", "suse", "")
    assert ecosystem("GitHub Actions") == ("githubactions", "", "")
    assert ecosystem("Cray Pkg!") == ("cray-pkg", "", "")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("npm", "@Babel/Core", "v7.0.0"), ("npm", "@babel/core", "7.0.0", "pkg:npm/%40babel/core@7.0.0")),
        (("yarn", "%40babel/core", "=7.0.0"), ("npm", "@babel/core", "7.0.0", "pkg:npm/%40babel/core@7.0.0")),
        (("pip", "Foo_.Bar[extra]", "1.0RC1"), ("pypi", "foo-bar", "1.0rc1", "pkg:pypi/foo-bar@1.0rc1")),
        (("maven", "org.a:b", "1.0-RC1"), ("maven", "org.a:b", "1.0-RC1", "pkg:maven/org.a/b@1.0-RC1")),
        (("gradle", "org.a/b", "1"), ("maven", "org.a:b", "1", "pkg:maven/org.a/b@1")),
        (("jar", "org.a:b:jar:1", "1"), ("maven", "org.a:b", "1", "pkg:maven/org.a/b@1")),
        (("go", "github.com/Azure/x", "1.2.3"), ("golang", "github.com/azure/x", "1.2.3", "pkg:golang/github.com/azure/x@v1.2.3")),
        (("go-module", "stdlib", "go1.20.1"), ("golang", "stdlib", "1.20.1", "pkg:golang/stdlib@1.20.1")),
        (("nuget", "Newtonsoft.Json", "13.0.1"), ("nuget", "newtonsoft.json", "13.0.1", "pkg:nuget/newtonsoft.json@13.0.1")),
        (("composer", "Guzzle/Psr7", "v1.0.0"), ("composer", "guzzle/psr7", "1.0.0", "pkg:composer/guzzle/psr7@1.0.0")),
        (("cargo", "time", "0.1.0"), ("cargo", "time", "0.1.0", "pkg:cargo/time@0.1.0")),
        (("Debian:11", "openssl", "0:1.1+u1"), ("deb", "openssl", "1.1+u1", "pkg:deb/debian/openssl@1.1%2Bu1?distro=debian-11")),
        (("deb", "openssl/libssl1.1", "1.1"), ("deb", "libssl1.1", "1.1", "pkg:deb/libssl1.1@1.1")),
        (("redhat", "bind", "32:9.1"), ("rpm", "bind", "32:9.1", "pkg:rpm/redhat/bind@9.1?epoch=32")),
        (("npm", "a", "^1.0"), ("npm", "a", "", "pkg:npm/a")),
        (("npm", "a", ">= 1, < 2"), ("npm", "a", "", "pkg:npm/a")),
        (("", "a", "unknown"), ("", "a", "", "")),
        (("npm", " ", "1"), ("", "", "", "")),
    ],
)
def test_words_and_versions(given: tuple[str, str, str], expected: tuple[str, ...]) -> None:
    found = package(*given)
    assert (found.ecosystem, found.name, found.version, found.purl) == expected
    assert package("", "", "", found.purl) == found or not found.purl


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # the purl wins over words, whatever they say
        (("pip", "right", "2", "pkg:npm/left@1"), ("npm", "left", "1", "pkg:npm/left@1")),
        # a word fills in what the purl leaves open
        (("npm", "left", "v2", "pkg:npm/left"), ("npm", "left", "2", "pkg:npm/left@2")),
        # what is no purl counts for nothing
        (("npm", "left", "2", "npm/left@1"), ("npm", "left", "2", "pkg:npm/left@2")),
        (("", "", "", "pkg:python/Foo_Bar@1"), ("pypi", "foo-bar", "1", "pkg:pypi/foo-bar@1")),
        (("", "", "", "pkg:npm/@babel/core@7"), ("npm", "@babel/core", "7", "pkg:npm/%40babel/core@7")),
        (("", "", "", "PKG://Maven/org.a/b@1?type=jar#x/y"), ("maven", "org.a:b", "1", "pkg:maven/org.a/b@1?type=jar")),
        (("", "", "", "pkg:rpm/redhat/bind@9.1?epoch=32&arch=x"), ("rpm", "bind", "32:9.1", "pkg:rpm/redhat/bind@9.1?arch=x&epoch=32")),
        (("", "", "", "pkg:deb/debian/a@1?distro=debian-11"), ("deb", "a", "1", "pkg:deb/debian/a@1?distro=debian-11")),
    ],
)
def test_purls_and_words(given: tuple[str, str, str, str], expected: tuple[str, ...]) -> None:
    found = package(*given)
    assert (found.ecosystem, found.name, found.version, found.purl) == expected


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(["npm", "pip", "maven", "go", "Debian:11", "rpm", "", "x"]) | st.text(),
    st.text(),
    st.text(),
    st.text() | st.just("pkg:npm/a"),
)
def test_naming_never_raises_and_keeps_its_own_words(word: str, name: str, version: str, purl: str) -> None:
    found = package(word, name, version, purl)
    again = package(found.ecosystem, found.name, found.version)
    assert (again.ecosystem, again.name, again.version) == (found.ecosystem, found.name, found.version)


@settings(deadline=None, max_examples=40)
@given(st.text(), st.text(min_size=1), st.text())
def test_a_purl_says_what_it_was_made_of(namespace: str, name: str, version: str) -> None:
    made = purls.Purl("generic", "", name.replace("/", "").strip(), version.strip(), (("a", namespace),) if namespace else ())
    if made.name and made.name not in {".", ".."}:
        read = purls.parse(made.text())
        assert read == made or len(made.text()) > 1000
