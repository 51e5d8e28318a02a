from __future__ import annotations

import datetime
import json
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scans.normal.kept import CUT, MOST_RAW, raw_json, text
from scans.normal.paths import MOST_PATH, canonical_path


def test_what_is_small_is_kept_whole() -> None:
    raw = {"ruleId": "a", "level": None, "ok": True, "score": 7.5, "lines": [1, 2], "deep": {"er": {"text": "ä"}}}
    assert json.loads(raw_json(raw)) == raw
    assert json.loads(raw_json(MappingProxyType({"a": MappingProxyType(raw)}))) == {"a": raw}
    assert raw_json({}) == "{}"


def test_secrets_are_masked_wherever_they_stand() -> None:
    secret = "ghp_" + "a1B2" * 9
    kept = raw_json(
        {
            "password": "hunter2 and more",
            "text": f"found {secret} here",
            "list": [f"x {secret}"],
            secret: 1,
            "message": "password: 'hunter2'",
        }
    )
    assert secret not in kept
    assert "hunter2" not in kept
    assert json.loads(kept)["text"] == "found *** here"
    assert secret not in text("x" * 480 + secret, 500)
    assert secret[:20] not in text("x " * 240 + secret, 500)  # cut in two by the limit, it would not be known any more


def test_what_json_cant_say_is_said_in_words() -> None:
    raw = {
        "day": datetime.date(2026, 1, 2),
        "part": Decimal("7.5"),
        "no": float("nan"),
        "many": 10**400,
        "bad": "a\0\ud800",
        "t": (1,),
        3: "three",
    }
    kept = json.loads(raw_json(raw))
    assert kept["day"] == "2026-01-02"
    assert (kept["part"], kept["no"], kept["t"], kept["3"]) == (7.5, None, [1], "three")
    assert kept["bad"] == "a␀?"
    assert isinstance(kept["many"], str)


@pytest.mark.parametrize(
    "value", ["x" * 100_000, "ä€" * 50_000, "\x01" * 100_000, '"' * 100_000, [{"a": [1, None]}] * 10_000, [["\x01\x02"]] * 9_000]
)
def test_what_is_large_is_cut_off_as_valid_json(value: object) -> None:
    kept = raw_json({"first": "stays", "large": value, "last": 1})
    assert 1_000 < len(kept.encode()) <= MOST_RAW
    assert json.loads(kept)["first"] == "stays"
    assert CUT in kept


def test_what_is_deep_or_goes_round_is_cut_off() -> None:
    deep: dict[str, object] = {}
    deep["again"] = [deep]
    assert CUT in raw_json(deep)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals() | st.just("\x01" * 9_000),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.text(), JSON, max_size=8))
def test_keeping_never_raises(raw: dict[str, object]) -> None:
    kept = raw_json(raw)
    assert len(kept.encode()) <= MOST_RAW
    assert "\\u0000" not in kept
    assert raw_json(json.loads(kept)) is not None


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("src/a.py", "src/a.py"), ("./src//a.py", "src/a.py"), ("/src/./a.py", "src/a.py"), ("src\\b\\a.py", "src/b/a.py"),
        ("../../etc/passwd", "etc/passwd"), ("a/../../b.py", "b.py"), ("file:///home/x/a.py", "home/x/a.py"), ("C:\\src\\a.py", "src/a.py"),
        ("file:///C:/src/a.py", "src/a.py"), ("a b/ä.py", "a b/ä.py"), ("", ""), ("..", ""), ("a/..", ""), ("...", "..."), ("a\0b", "a␀b"),
    ],
)  # fmt: skip
def test_paths_stay_in_the_repository(path: str, canonical: str) -> None:
    assert canonical_path(path) == canonical
    assert canonical_path(canonical) == canonical


def test_long_paths_stay_apart() -> None:
    one, other = (canonical_path("a/" * 2_000 + name) for name in ("x.py", "y.py"))
    assert one != other
    assert len(one) <= MOST_PATH


@pytest.mark.parametrize("before", ["", "x\n", "x\t", 'x"', "\\", "/", "é "])
@pytest.mark.parametrize("secret", ["ghp_" + "a1B2" * 9, "Bearer abcDEF123456", "password=hunter22", "AKIAIOSFODNN7EXAMPLE"])
def test_what_looks_like_a_secret_is_masked_whatever_stands_before_it(before: str, secret: str) -> None:
    value = secret.removeprefix("Bearer ").removeprefix("password=")
    alone = text(f"{before}{secret}\nend", 1000)
    assert json.loads(raw_json({"message": f"{before}{secret}\nend"})) == {"message": alone}
    assert value not in alone


def test_a_number_beyond_json_s_is_kept_as_a_text() -> None:
    assert json.loads(raw_json({"id": 1 << 60, "line": 7})) == {"id": str(1 << 60), "line": 7}
