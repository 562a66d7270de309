"""What a claim says: the names in it, the quantity, the numbers with their units, and a direction.

Every word of a claim has to be understood.  A word that is neither a name of the traces nor part of the small
vocabulary below makes its clause undecidable, so that no sentence is agreed with because words were skipped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
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
_WHOLE: Final = {"change": 0, "increase": 1, "decrease": -1}
_LINKS: Final = ("from", "to", "by", "factor", "→", "->")
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    **{f"metric:{metric}": words for metric, words in _METRICS.items()},
    "up": _UP, "down": _DOWN, "baseline": _BASELINE, "current": _CURRENT, "least": _AT_LEAST, "most": _AT_MOST,
    "about": _ABOUT, "not": _NOT, "all": _ALL, "change": _CHANGE,
    "increase": _INCREASE, "decrease": _DECREASE, "and": _AND, "filler": _FILLER,
    "compared": _COMPARED, "with": ("with",),
    **{word: (word,) for word in _LINKS if word != "->"}, "→": ("→", "->"),
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


@dataclass
class Clause:
    """One assertion.

    Parameters
    ----------
    names
        Names of services, operations and attributes.
    metrics
        Keys of quantities.
    numbers
        Each with its role: ``baseline``, ``current``, ``change``, ``factor``, ``single``, ``low``, ``high``, ``n``.
    direction
        1 up, -1 down, 0 none.
    side
        ``current``, ``baseline``, or empty.
    bound
        ``least``, ``most``, ``about``, or empty.
    is_negated, is_all, is_compared
        Whether it says no; that it is about all requests; that it compares with the baseline.
    whole
        Of a share of the change: 1 of an increase, -1 of a decrease, 0 of either; None for another number.
    problems
        Why it cannot be decided.
    """

    names: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    numbers: list[tuple[str, Number]] = field(default_factory=list)
    direction: int = 0
    side: str = ""
    bound: str = ""
    is_negated: bool = False
    is_all: bool = False
    is_compared: bool = False
    whole: int | None = None
    problems: list[str] = field(default_factory=list)


def parsed(claim: str, names: Sequence[str]) -> list[Clause]:
    """Return the assertions of a claim.

    Parameters
    ----------
    claim
        A sentence; clauses are separated by semicolons, full stops and ``and``.
    names
        Names that occur in the traces.  A name that is also a word of the vocabulary counts in quotes only.

    Examples
    --------
    >>> (clause,) = parsed("ledger explains 98.8% of the change", ["ledger"])
    >>> clause.names, clause.metrics, [(role, number.text) for role, number in clause.numbers], clause.problems
    (['ledger'], ['change_share'], [('single', '98.8')], [])
    >>> parsed("ledger p95 is surely 3 ms", ["ledger"])[0].problems
    ['a word is not understood (characters 15 to 20)']
    """
    groups: list[list[Token]] = [[]]
    depth = 0
    for token in _tokens(claim, _Names.of(names)):
        if token.kind == "other" and token.value in {"(", ")"}:
            depth += 1 if token.value == "(" else -1
        elif token.kind == "and" or (
            token.kind == "other" and (token.value in {".", "!"} or (token.value == ";" and depth <= 0))
        ):
            groups.append([])
        elif not (token.kind == "other" and token.value in {",", ":", ";"}):
            groups[-1].append(token)
    return [_clause(group) for group in groups if group]


@dataclass(frozen=True)
class _Names:
    """Names by their first letter, and those that can be read in another way."""

    by_start: Mapping[str, list[str]]
    exact: Mapping[str, str]
    confusable: frozenset[str]

    @classmethod
    def of(cls, names: Sequence[str]) -> _Names:
        """Return the names, the longest first."""
        by_start: dict[str, list[str]] = {}
        known = sorted({name for name in names if name.strip()}, key=lambda name: (-len(name), name))
        for name in known:
            by_start.setdefault(name[0].lower(), []).append(name)
        none = cls({}, {}, frozenset())
        kinds = {name: {token.kind for token in _tokens(name, none)} for name in known if len(name) < LONGEST}
        confusable = frozenset(name for name, found in kinds.items() if not found & {"other", "unknown"})
        return cls(by_start, {name: name for name in known}, confusable)


def _tokens(text: str, names: _Names) -> Iterator[Token]:
    """Yield the parts of a text from left to right: names first, then numbers, then words."""
    at = 0
    while at < len(text):
        if space := _SPACE.match(text, at):
            at = space.end()
            continue
        token = _quoted(text, at, names) or _name(text, at, names) or _number(text, at) or _word(text, at)
        yield token
        at = token.end


def _quoted(text: str, at: int, names: _Names) -> Token | None:
    """Return a name in quotes."""
    found = _QUOTED.match(text, at)
    if found is None:
        return None
    name = next(group for group in found.groups() if group is not None)
    return Token("name" if name in names.exact else "unknown", name, at, found.end())


def _name(text: str, at: int, names: _Names) -> Token | None:
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


def _clause(tokens: Sequence[Token]) -> Clause:
    """Return what the parts of a clause say together."""
    clause = Clause()
    at = 0
    while at < len(tokens):
        at += _take(clause, tokens, at)
    if clause.whole is not None and not clause.metrics:
        clause.metrics.append("change_share")
    if clause.metrics == ["change_share"] and clause.whole is None:
        clause.problems.append("it does not say what is explained; say 'of the change'")
    if clause.whole is not None and clause.metrics != ["change_share"]:
        clause.problems.append("only the change of the mean latency is divided into shares")
    if len(clause.metrics) > 1:
        clause.problems.append("it names several quantities; claim one at a time")
    clause.problems += _of_sides(clause, [token.kind for token in tokens])
    return clause


def _of_sides(clause: Clause, kinds: Sequence[str]) -> Iterator[str]:
    """Yield what is unclear about the sides: a change is from the baseline to now, and of one subject."""
    is_change = bool(clause.direction) or any(role in {"change", "factor"} for role, _ in clause.numbers)
    if is_change and clause.side == "baseline":
        yield "a change is from the baseline to now; it cannot be one in the baseline"
    if clause.is_compared and not is_change:
        yield "it compares without saying what changed"
    turns = [at for at, kind in enumerate(kinds) if kind in {"up", "down"}]
    subjects = [at for at, kind in enumerate(kinds) if kind in {"name", "all"}]
    if turns and subjects and min(subjects) < max(turns) and max(subjects) > min(turns):
        yield "it has names on both sides of a direction; changes are claimed of one thing, from its baseline"


def _take(clause: Clause, tokens: Sequence[Token], at: int) -> int:
    """Add one part to a clause; returns how many tokens it took."""
    token = tokens[at]
    kind = token.kind
    if kind in {"number", "interval", "counted"} or kind in _LINKS:
        return _numbers(clause, tokens, at)
    if kind in {"compared", "with"}:
        return _comparison(clause, tokens, at)
    if kind in _SETS:
        _once(clause, *_SETS[kind])
    elif kind == "name":
        clause.names.append(str(token.value))
    elif kind.startswith("metric:"):
        clause.metrics += [name for name in [kind.removeprefix("metric:")] if name not in clause.metrics]
    elif kind in _WHOLE:
        clause.whole = _WHOLE[kind]
    elif kind == "not" and clause.is_negated:
        clause.problems.append("it says no twice")
    elif kind != "filler":
        _rest(clause, token)
    return 1


_SETS: Final[Mapping[str, tuple[str, object]]] = {
    "up": ("direction", 1),
    "down": ("direction", -1),
    **{kind: ("side", kind) for kind in ("baseline", "current")},
    **{kind: ("bound", kind) for kind in ("least", "most", "about")},
    "all": ("is_all", True),
}


def _comparison(clause: Clause, tokens: Sequence[Token], at: int) -> int:
    """Add a comparison with the baseline, or ``with`` between two names; returns how many tokens it took."""
    around = [tokens[place].kind if 0 <= place < len(tokens) else "" for place in (at - 1, at + 1, at + 2)]
    if tokens[at].kind == "with":
        if around[:2] != ["name", "name"]:
            clause.problems.append("'with' is not between a name and an attribute")
        return 1
    clause.is_compared = True
    if around[1] == "baseline":
        return 2
    if around[1:] == ["filler", "baseline"]:
        return 3
    clause.problems.append("only a comparison with the baseline can be decided")
    return 1


def _rest(clause: Clause, token: Token) -> None:
    """Add a denial, or why a clause cannot be decided."""
    if token.kind == "not":
        clause.is_negated = True
    elif token.kind == "confusable":
        clause.problems.append("a name is also an ordinary word or number: put it in backticks")
    elif token.kind == "ambiguous":
        clause.problems.append("names differ only in capital letters; write the name as it was recorded")
    else:
        clause.problems.append(f"a word is not understood (characters {token.begin + 1} to {token.end})")


def _once(clause: Clause, name: str, value: object) -> None:
    """Set what a clause may say once."""
    if getattr(clause, name) not in ("", 0, False, value):
        clause.problems.append(f"it names more than one {name}")
    setattr(clause, name, value)


def _numbers(clause: Clause, tokens: Sequence[Token], at: int) -> int:
    """Add the numbers that begin here with the words that say what they are; returns how many tokens that took."""
    kinds = [token.kind for token in tokens[at : at + 5]]
    values = [token.value for token in tokens[at : at + 5]]
    for pattern, places, roles in _ROLES:
        if tuple(kinds[: len(pattern)]) == pattern:
            found = [values[place] for place in places]
            numbers = [one for one in found if isinstance(one, Number)]
            if pattern == ("interval",):
                numbers = list(found[0]) if isinstance(found[0], list) else []
            _add(clause, roles, numbers)
            return len(pattern)
    if kinds[0] != "to":
        clause.problems.append(f"{kinds[0]!r} is not followed by a number")
    return 1


_ROLES: Final[tuple[tuple[tuple[str, ...], tuple[int, ...], tuple[str, ...]], ...]] = (
    (("from", "number", "to", "number"), (1, 3), ("baseline", "current")),
    (("from", "number", "→", "number"), (1, 3), ("baseline", "current")),
    (("number", "→", "number"), (0, 2), ("baseline", "current")),
    (("number", "to", "number"), (0, 2), ("baseline", "current")),
    (("by", "filler", "factor", "filler", "number"), (4,), ("factor",)),
    (("factor", "filler", "number"), (2,), ("factor",)),
    (("by", "number"), (1,), ("change",)),
    (("from", "number"), (1,), ("baseline",)),
    (("to", "number"), (1,), ("current",)),
    (("interval",), (0,), ("low", "high")),
    (("counted",), (0,), ("n",)),
    (("number",), (0,), ("single",)),
)


def _add(clause: Clause, roles: Sequence[str], numbers: Sequence[Number]) -> None:
    """Add numbers with their roles; the unit of the second also is that of the first."""
    known = [number.unit for number in numbers if number.unit]
    for role, number in zip(roles, numbers, strict=False):
        own = number
        if not number.unit and known and role in {"baseline", "low"}:
            last = numbers[-1]
            own = Number(number.text, last.unit, last.scale)
        kind = role
        if role == "factor" and not own.unit:
            own = own._replace(unit="factor")
        if role in {"single", "change"} and own.unit == "factor":
            kind = "factor"
        elif role == "single" and own.is_signed:
            kind = "change"
        if kind in {known_role for known_role, _ in clause.numbers}:
            clause.problems.append("it has several numbers of the same kind; claim one at a time")
        clause.numbers.append((kind, own))
