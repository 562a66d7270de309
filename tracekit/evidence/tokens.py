"""The parts of a claim: names of the traces, numbers with their units, and words of a small vocabulary.

A word that is neither a name nor part of the vocabulary is a token of its own, so that no word is skipped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

LONGEST: Final = 1_000  # characters of a claim
_METRICS: Final = {
    "p50": ("p50", "median", "50th percentile"),
    "p90": ("p90", "90th percentile"),
    "p95": ("p95", "95th percentile"),
    "p99": ("p99", "99th percentile"),
    "mean": ("mean latency", "average latency", "mean", "average"),
    "max": ("maximum latency", "maximum", "max"),
    "error_ratio": ("error rate", "error ratio", "failure rate"),
    "request_count": ("number of requests", "request count"),
    "calls_per_request": ("calls per request",),
    "call_time": ("time per call",),
    "path_time": ("critical-path time per request", "critical path time per request", "critical-path time"),
    "change_share": ("explains", "explain", "accounts for", "account for", "explained by", "share of the change"),
    "latency_share": ("share of the latency",),
}
_UP: Final = (
    "regressed", "increased", "rose", "grew", "went up", "slower", "higher", "worse", "worsened", "regress", "increase",
    "rise", "grow", "worsen",
)  # fmt: skip
_DOWN: Final = (
    "improved", "decreased", "fell", "dropped", "went down", "faster", "lower", "better", "improve", "decrease", "fall",
    "drop",
)  # fmt: skip
_BASELINE: Final = ("in the baseline", "of the baseline", "baseline", "before", "previously", "earlier")
_CURRENT: Final = ("current", "currently", "now", "during the incident")
_AT_LEAST: Final = ("at least", "more than", "over", "above", "exceeds", "exceed", ">=", "≥", ">")
_AT_MOST: Final = ("at most", "less than", "under", "below", "<=", "≤", "<")
_ABOUT: Final = ("about", "around", "roughly", "approximately", "nearly", "almost", "~", "≈")
_NOT: Final = ("not", "cannot", "never", "n't", "no")
_ALL: Final = ("all requests", "of recorded requests", "of requests", "all recorded requests", "overall")
_CHANGE: Final = ("of the change of the mean latency", "of the change in mean latency", "of the change")
_INCREASE: Final = (
    "of the added mean latency", "of the added latency", "of the increase", "of the regression", "of the slowdown",
)  # fmt: skip
_DECREASE: Final = ("of the decrease", "of the improvement")
_COMPARED: Final = ("compared with", "compared to", "compared", "versus", "vs")
_AND: Final = ("and", "while", "whereas", "but")
_FILLER: Final = (
    "the", "a", "an", "of", "in", "for", "at", "is", "was", "are", "were", "has", "have", "had", "been", "do", "does",
    "did", "its", "it", "request", "requests", "endpoint", "service", "operation", "latency", "on", "calls", "calling",
    "recorded", "changed", "went", "got", "became", "value", "that", "'s", "customers", "customer", "attribute",
    "which",
)  # fmt: skip
LINKS: Final = ("from", "to", "by", "factor", "→", "->")
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    **{f"metric:{metric}": words for metric, words in _METRICS.items()},
    "up": _UP, "down": _DOWN, "baseline": _BASELINE, "current": _CURRENT, "least": _AT_LEAST, "most": _AT_MOST,
    "about": _ABOUT, "not": _NOT, "all": _ALL, "change": _CHANGE,
    "increase": _INCREASE, "decrease": _DECREASE, "and": _AND, "filler": _FILLER,
    "compared": _COMPARED, "with": ("with",),
    **{word: (word,) for word in LINKS if word != "->"}, "→": ("→", "->"),
}  # fmt: skip
_KIND: Final = {word: kind for kind, words in _WORDS.items() for word in words}
_UNITS: Final = {
    "ns": ("ns", 1.0), "µs": ("ns", 1e3), "μs": ("ns", 1e3), "us": ("ns", 1e3), "ms": ("ns", 1e6), "s": ("ns", 1e9),
    "second": ("ns", 1e9), "seconds": ("ns", 1e9), "milliseconds": ("ns", 1e6), "min": ("ns", 60e9),
    "percentage points": ("points", 0.01), "%": ("ratio", 0.01), "percent": ("ratio", 0.01),
    "×": ("factor", 1.0), "x": ("factor", 1.0), "times": ("factor", 1.0),
}  # fmt: skip


def _either(words: Iterable[str]) -> str:
    """Return a pattern for one of several phrases, the longest first."""
    return "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in sorted(words, key=len, reverse=True))


_PLAIN: Final = r"(?:[1-9]\d{0,2}(?:,\d{3})+|\d+)(?:\.\d+)?"
_UNIT: Final = rf"(?:\s?(?P<unit>{_either(_UNITS)})(?!\w))?"
_MINUS: Final = "\N{MINUS SIGN}"
_SIGN: Final = f"[+{_MINUS}-]?"
_INTERVAL: Final = re.compile(rf"95%\s+CI\s+(?P<low>{_SIGN}{_PLAIN})\s?(?:–|to)\s?(?P<high>{_SIGN}{_PLAIN}){_UNIT}")
_COUNTED: Final = re.compile(rf"n\s?=\s?(?P<number>{_PLAIN})(?![\w.])")
_NUMBER: Final = re.compile(rf"(?P<sign>{_SIGN})(?P<number>{_PLAIN}){_UNIT}(?![\w])")
_PHRASE: Final = re.compile(rf"(?:{_either(_KIND)})(?!\w)", re.IGNORECASE)
_QUOTED: Final = re.compile(r"`([^`]+)`|\"([^\"]+)\"|“([^”]+)”")
_DENIAL: Final = re.compile(
    "(?:does|did|is|was|has|do|are|were)n['\N{RIGHT SINGLE QUOTATION MARK}]t(?!\\w)", re.IGNORECASE
)
_OTHER: Final = re.compile(r"\w+|[^\w\s]")
_SPACE: Final = re.compile(r"\s+")


class Number(NamedTuple):
    """A number as it is written.

    Parameters
    ----------
    text
        Digits with the sign, without thousands separators.
    unit
        ``ns``, ``ratio``, ``points``, ``factor``; empty without one.
    scale
        What one of the written unit is, such as 1e6 for milliseconds.
    """

    text: str
    unit: str
    scale: float

    @property
    def value(self) -> float:
        """The number in nanoseconds, as a ratio, or as it is."""
        return float(self.text) * self.scale

    @property
    def decimals(self) -> int:
        """Digits after the point."""
        return len(self.text.partition(".")[2])

    @property
    def is_signed(self) -> bool:
        """Whether it has a sign: a change."""
        return self.text[0] in "+-"


class Token(NamedTuple):
    """A part of a claim: its kind, what it stands for, and where it begins and ends."""

    kind: str
    value: object
    begin: int
    end: int


@dataclass(frozen=True)
class Names:
    """Names by their first letter, and those that can be read in another way."""

    by_start: Mapping[str, list[str]]
    exact: Mapping[str, str]
    confusable: frozenset[str]

    @classmethod
    def of(cls, names: Sequence[str]) -> Names:
        """Return the names, the longest first."""
        by_start: dict[str, list[str]] = {}
        known = sorted({name for name in names if name.strip()}, key=lambda name: (-len(name), name))
        for name in known:
            by_start.setdefault(name[0].lower(), []).append(name)
        none = cls({}, {}, frozenset())
        kinds = {name: {token.kind for token in tokens_of(name, none)} for name in known if len(name) < LONGEST}
        confusable = frozenset(name for name, found in kinds.items() if not found & {"other", "unknown"})
        return cls(by_start, {name: name for name in known}, confusable)


def tokens_of(text: str, names: Names) -> Iterator[Token]:
    """Yield the parts of a text from left to right: names first, then numbers, then words."""
    at = 0
    while at < len(text):
        if space := _SPACE.match(text, at):
            at = space.end()
            continue
        token = _quoted(text, at, names) or _name(text, at, names) or _number(text, at) or _word(text, at)
        yield token
        at = token.end


def _quoted(text: str, at: int, names: Names) -> Token | None:
    """Return a name in quotes."""
    found = _QUOTED.match(text, at)
    if found is None:
        return None
    name = next(group for group in found.groups() if group is not None)
    return Token("name" if name in names.exact else "unknown", name, at, found.end())


def _name(text: str, at: int, names: Names) -> Token | None:
    """Return the longest name that begins here and ends with a word: as it is written, or the only one but for case."""
    if at and _joins(text[at - 1], text[at]):
        return None
    near = [name for name in names.by_start.get(text[at].lower(), ()) if _is_here(name, text, at)]
    if not near:
        return None
    longest = [name for name in near if len(name) == len(near[0])]
    end = at + len(near[0])
    same = [name for name in longest if name == text[at:end]] or longest
    if len(same) > 1:
        return Token("ambiguous", text[at:end], at, end)
    return Token("confusable" if same[0] in names.confusable else "name", same[0], at, end)


def _is_here(name: str, text: str, at: int) -> bool:
    """Return whether a name is at a place, in capitals or not, and no word goes on after it."""
    end = at + len(name)
    return text[at:end].lower() == name.lower() and not _goes_on(text, end)


def _joins(one: str, other: str) -> bool:
    """Return whether two letters are of one word."""
    return (one.isalnum() or one == "_") and (other.isalnum() or other == "_")


def _goes_on(text: str, end: int) -> bool:
    """Return whether a word goes on: ``payments`` in ``payments-v2`` is no name."""
    rest = text[end : end + 2]
    if not rest:
        return False
    is_joined = rest[0] in "-/.:@_{}" and len(rest) > 1 and not rest[1].isspace()
    return (_joins(text[end - 1], rest[0]) if end else False) or is_joined


def _number(text: str, at: int) -> Token | None:
    """Return a number with its unit, an interval, or a number of traces."""
    if found := _INTERVAL.match(text, at):
        return Token("interval", [_of(found[end], found["unit"]) for end in ("low", "high")], at, found.end())
    if found := _COUNTED.match(text, at):
        return Token("counted", _of(found["number"], None), at, found.end())
    found = _NUMBER.match(text, at)
    if found is None or (at and _joins(text[at - 1], text[at])):
        return None
    return Token("number", _of(found["sign"] + found["number"], found["unit"]), at, found.end())


def _of(text: str, unit: str | None) -> Number:
    """Return a number as it is written."""
    plain = text.replace(",", "").replace(_MINUS, "-")
    return Number(plain, *(_UNITS[_SPACE.sub(" ", unit)] if unit else ("", 1.0)))


def _word(text: str, at: int) -> Token:
    """Return a phrase of the vocabulary, or a word that is not understood."""
    found = _PHRASE.match(text, at)
    if found is not None:
        return Token(_KIND[_SPACE.sub(" ", found[0].lower())], found[0], at, found.end())
    other = _OTHER.match(text, at)
    end = at + 1 if other is None else other.end()
    if (denial := _DENIAL.match(text, at)) is not None:
        return Token("not", denial[0], at, denial.end())
    is_mark = text[at:end] in {"(", ")", ",", ";", ".", ":", "!"}
    return Token("other" if is_mark else "unknown", text[at:end], at, end)
