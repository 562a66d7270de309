"""What a claim says: the names in it, the quantity, the numbers with their units, and a direction.

Every word of a claim has to be understood.  A word that is neither a name of the traces nor part of the vocabulary
makes its clause undecidable, so that no sentence is agreed with because words were skipped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tracekit.evidence.tokens import LINKS, Names, Number, tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tracekit.evidence.tokens import Token

_WHOLE: Final = {"change": 0, "increase": 1, "decrease": -1}


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
    for token in tokens_of(claim, Names.of(names)):
        if token.kind == "other" and token.value in {"(", ")"}:
            depth += 1 if token.value == "(" else -1
        elif token.kind == "and" or (
            token.kind == "other" and (token.value in {".", "!"} or (token.value == ";" and depth <= 0))
        ):
            groups.append([])
        elif not (token.kind == "other" and token.value in {",", ":", ";"}):
            groups[-1].append(token)
    return [_clause(group) for group in groups if group]


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
    if kind in {"number", "interval", "counted"} or kind in LINKS:
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
