"""How bad a finding is, in one scale, whatever word, number or vector its source gave.

What the source itself calls effective comes first: it knows of its own overrides and of what a vendor says about a distribution. Only
where it says nothing that is understood does the CVSS score decide. The origin says which it was, and keeps a word that nobody knows.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

from cvss import CVSS2, CVSS3, CVSS4

from core.texts import storable
from scans.choices import Severity

MOST_ORIGIN = 200
_MOST_TEXT = 201
_MOST_VECTORS = 20
_MOST_WORD = 80

_WORDS = {
    Severity.CRITICAL: "critical crit blocker",
    Severity.HIGH: "high important error err severe serious fatal",
    Severity.MEDIUM: "medium moderate med warning warn major",
    Severity.LOW: "low note minor",
    Severity.INFO: "info information informational informative negligible none notice style hint suggestion recommendation convention "
    "refactor unimportant",
}
# Major and minor are Sonar's and Code Climate's; error, warning, note and none are SARIF's levels, the first two Semgrep's words as well
_BY_WORD = {word: severity for severity, words in _WORDS.items() for word in words.split()}
_NUMBER = re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,9})?")
_V2_PREFIX = re.compile(r"^(?:CVSS:?2(?:\.0)?[/#])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Score:
    """What a CVSS vector says."""

    version: str
    """2.0, 3.0, 3.1, 4.0; empty for a score that came without its vector."""
    score: float
    vector: str

    @property
    def severity(self) -> Severity:
        """Return the band of the score; the second version of CVSS has no critical."""
        if self.version == "2.0":
            return Severity.HIGH if self.score >= 7 else Severity.MEDIUM if self.score >= 4 else Severity.LOW
        return _band(self.score)


@dataclass(frozen=True, slots=True)
class Judged:
    """A severity, where it comes from, and the CVSS score beside it."""

    severity: Severity
    origin: str
    score: float | None
    vector: str


def judge(word: str, origin: str = "", vectors: tuple[str, ...] = ()) -> Judged:
    """Return the severity: the source's word or score if it is understood, else the band of the best CVSS vector, else UNKNOWN."""
    # bounded before they are cached: what a report says must not fill the memory
    return _judge(word[:_MOST_TEXT], origin[:_MOST_TEXT], tuple([vector[:_MOST_TEXT] for vector in vectors[:_MOST_VECTORS]]))


@lru_cache(maxsize=8192)
def _judge(word: str, origin: str, vectors: tuple[str, ...]) -> Judged:
    best = best_score(vectors)
    score, vector = (best.score, best.vector) if best else (None, "")
    said = _shown(word)
    named = f"{_shown(origin) or 'severity'} {said}" if said else ""
    severity = of_word(word)
    if severity is not Severity.UNKNOWN or best is None:
        return Judged(severity, named[:MOST_ORIGIN], score, vector)
    by_score = f"cvss {best.score:.1f}"
    return Judged(best.severity, f"{by_score}; {named}"[:MOST_ORIGIN] if named else by_score, score, vector)


def of_word(word: str) -> Severity:
    """Return the severity of a source's word or of its score from 0 to 10, UNKNOWN for all that is neither."""
    clean = word.strip().lower()
    if found := _BY_WORD.get(clean):
        return found
    number = _number(clean)
    return Severity.UNKNOWN if number is None else _band(number)


def best_score(vectors: tuple[str, ...]) -> Score | None:
    """Return the score of the newest version of CVSS, within it the highest; the same in whatever order the vectors come."""
    scores = [score for vector in vectors if (score := score_of(vector))]
    return max(scores, key=lambda score: (score.version, score.score, score.vector), default=None)


def score_of(vector: str) -> Score | None:
    """Return what a vector, or a mere score, says; None for what is neither. The score is the base score: it is what others publish."""
    clean = vector.strip()
    return _score_of(clean) if 0 < len(clean) < _MOST_TEXT and clean.isascii() else None


@lru_cache(maxsize=8192)
def _score_of(clean: str) -> Score | None:
    number = _number(clean)
    if number is not None:
        return Score("", number, "")
    try:
        return _calculated(clean)
    except Exception:  # the library raises its own errors for most of what is wrong, and KeyError and the like for the rest
        return None


def _calculated(vector: str) -> Score:
    if vector.startswith("CVSS:4"):
        return Score("4.0", float(CVSS4(vector).base_score), vector)
    if vector.startswith("CVSS:3"):
        return Score(vector[5:8], float(CVSS3(vector).base_score), vector)
    bare = _V2_PREFIX.sub("", vector.strip("()"))
    return Score("2.0", float(CVSS2(bare).base_score), bare)


def _number(text: str) -> float | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) and number <= 10 else None


def _band(score: float) -> Severity:
    """Return the band of CVSS v3 and v4; a score between two bands' printed limits, such as 8.95, belongs to the lower one."""
    if score >= 9:
        return Severity.CRITICAL
    if score >= 7:
        return Severity.HIGH
    if score >= 4:
        return Severity.MEDIUM
    return Severity.LOW if score > 0 else Severity.INFO


def _shown(text: str) -> str:
    return storable(" ".join(text.split()))[:_MOST_WORD]
